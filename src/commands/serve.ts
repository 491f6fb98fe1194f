import { setTimeout as sleep } from 'node:timers/promises';
import { withForge } from '../forge.ts';
import { assessHealth } from '../health/health.ts';
import { bridgeFindings } from '../health/bridge.ts';
import { verifiedLately } from '../health/verified.ts';
import { startLoop } from '../jobs/loop.ts';
import type { GlobalOptions } from '../server.ts';
import { withLock } from '../system/locks.ts';
import { listen } from '../web/listen.ts';

/** How long a former `serve` gets to be gone. Milliseconds. */
const patience = 10_000;

/** `fossilrepo serve`: the management part. Pages, health, and the loop; one at a time. */
export async function serve(options: GlobalOptions): Promise<void> {
  await withForge(options, (forge) =>
    withLock(forge.paths, 'loop', patience, async () => {
      const loop = startLoop(forge, (text) => forge.out.say(text));
      const health = () => {
        const now = Date.now();
        const bridge = bridgeFindings(forge, now);
        return assessHealth(loop.state(), bridge, verifiedLately(forge.store), now);
      };
      const server = await listen({ forge, health });
      await signalled();
      // A timer that is waited for would keep the process for its three seconds.
      await Promise.race([server.close(), sleep(3_000, undefined, { ref: false })]);
      await loop.stop();
    }),
  );
  // Sockets that somebody keeps open must not keep the process.
  process.exitCode = 0;
}

/**
 * The listeners stay: while a program runs, execa listens too (signal-exit), and ends the process at once when it finds itself the only
 * listener, as it would after a `once`.
 */
const signalled = () =>
  new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });

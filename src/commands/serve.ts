import { setTimeout as sleep } from 'node:timers/promises';
import { withForge } from '../forge.ts';
import { assessHealth } from '../health/health.ts';
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
      const server = await listen({ forge, health: () => assessHealth(loop.state(), [], Date.now()) });
      await signalled();
      await Promise.race([server.close(), sleep(3_000)]);
      await loop.stop();
    }),
  );
  // Sockets that somebody keeps open must not keep the process.
  process.exitCode = 0;
}

const signalled = () =>
  new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });

import { exitCodes } from '../errors.ts';
import { withForge } from '../forge.ts';
import { describeStatus } from '../health/describe.ts';
import { mirrorsSeen, summaryOfMirrors } from '../health/mirrors.ts';
import { healthNow } from '../health/now.ts';
import { forgeUrl } from '../repos/urls.ts';
import type { GlobalOptions } from '../server.ts';
import { newestEvents } from '../store/events.ts';

/** `fossilrepo status`: on one screen, whether one may sleep. Answers 4 when not. */
export async function status(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const seen = mirrorsSeen(forge, { counting: true });
    const health = await healthNow(forge, seen);
    const events = newestEvents(forge.store, 5);
    const mirrors = summaryOfMirrors(seen, Date.now());
    const url = forgeUrl(forge.config);
    forge.out.result(
      { url, ...health, mirrors, events },
      describeStatus({ url, replica: forge.config.replica.url, health, mirrors, events }, forge.out.screen),
    );
    if (!health.ok) process.exitCode = exitCodes.check;
  });
}

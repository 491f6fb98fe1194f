import type { ChildProcess } from 'node:child_process';
import type { Paths } from '../config/paths.ts';
import { isSyncRequested } from '../mirror/request.ts';

/** How often it is looked for a request, and when one is begun without. Milliseconds. */
const pauses = { look: 1_000, unasked: 5 * 60_000 } as const;

/**
 * What systemd does with `fossilrepo-sync.path` and `.timer`: begins a `sync --due` on request, and now and then without; one at a time.
 * @param begin starts one
 */
export function syncOnRequest(
  paths: Pick<Paths, 'syncRequests'>,
  begin: () => ChildProcess,
): { stop: () => void } {
  let child: ChildProcess | undefined;
  let last = performance.now();
  const timer = setInterval(() => {
    if (child !== undefined) return;
    if (!isSyncRequested(paths) && performance.now() - last < pauses.unasked) return;
    last = performance.now();
    child = begin();
    const ended = () => {
      child = undefined;
    };
    child.once('exit', ended);
    child.once('error', ended);
  }, pauses.look);
  return {
    stop: () => {
      clearInterval(timer);
      child?.kill();
    },
  };
}

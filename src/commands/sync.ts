import prettyBytes from 'pretty-bytes';
import { refuseWhileFenced } from '../backup/fence.ts';
import { pathsUnder } from '../config/paths.ts';
import { exitCodes, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { takeSyncRequest } from '../mirror/request.ts';
import { syncAll } from '../mirror/sync-all.ts';
import type { SyncOptions, SyncResult } from '../mirror/sync.ts';
import { describeCame } from '../mirror/upstream/came.ts';
import type { PullResult } from '../mirror/upstream/pull.ts';
import { pullAll } from '../mirror/upstream/pull-all.ts';
import type { GlobalOptions } from '../server.ts';
import { servedMirrors } from '../store/mirrors.ts';
import { stopping } from './stopping.ts';
import { drySync } from './sync-dry.ts';
import { workOf } from './sync-jobs.ts';

export type SyncFlags = { due: boolean; dryRun: boolean };

/** How long one run by itself may take. Who asks by hand can end it, and so can push for the first time what takes longer. Milliseconds. */
const deadline = 2 * 3_600_000;

/**
 * `fossilrepo sync [REPO…]`: takes what is new in upstreams, then brings mirrors up to date: `sync-jobs.ts` says which. Answers 6 when some failed, 5 when all that was asked for is at work elsewhere.
 */
export async function sync(
  options: GlobalOptions,
  names: readonly string[],
  flags: SyncFlags,
): Promise<void> {
  if (flags.due && names.length > 0)
    throw new OperatorError('Name repositories, or say --due.', { exit: 'usage' });
  // First of all: what comes from now on is asked for anew, and a request that can't be served is not repeated for ever.
  if (flags.due && !flags.dryRun) takeSyncRequest(pathsUnder(options.root));
  await withForge(options, async (forge) => {
    const { upstreams, mirrors } = workOf(forge, names, flags);
    if (flags.dryRun) {
      await drySync(forge, upstreams, mirrors());
      return;
    }
    // Another server may be this one, brought back: both would push.
    if (!flags.due) refuseWhileFenced(forge.store);
    const stop = stopping();
    const signal = flags.due ? AbortSignal.any([stop, AbortSignal.timeout(deadline)]) : stop;
    const tell = (busy: boolean, line: string) => {
      if (!(busy && flags.due) && (forge.out.live || flags.due)) forge.out.say(line);
    };
    const pulling = pullAll(forge, upstreams, { signal }, (result) =>
      tell(result.busy, describePull(result)),
    );
    // On demand what came goes on to the mirrors. By itself no upstream that is slow holds up any mirror: what comes is seen as a push is.
    if (!flags.due) await pulling;
    const results = await syncAll(
      forge,
      mirrors,
      { signal, again: flags.due, progress: progressOf(forge) },
      (result) => tell(result.busy, describe(result)),
    );
    const pulled = await pulling;
    const counts = ({ busy }: { busy: boolean }) => !(busy && flags.due);
    report(forge, pulled.filter(counts), results.filter(counts), flags);
    if (stop.aborted) process.exitCode = exitCodes.cancelled;
  });
}

/** On a terminal, where a long export is: at most every two seconds. */
function progressOf({ out }: Pick<Forge, 'out'>): SyncOptions['progress'] & object {
  let last = performance.now();
  return (repository, done, all) => {
    if (!out.live || performance.now() - last < 2_000) return;
    last = performance.now();
    out.say(`${repository}: ${done} of ${all} check-ins are in Git`);
  };
}

function report(
  { out, store }: Pick<Forge, 'out' | 'store'>,
  pulled: readonly PullResult[],
  results: readonly SyncResult[],
  flags: SyncFlags,
): void {
  const all = [...pulled, ...results];
  const lines = [...pulled.map(describePull), ...results.map(describe)];
  const said = out.live || flags.due ? '' : lines.join('\n');
  out.result({ pulled, results }, all.length > 0 || flags.due ? said : nothingToDo(store));
  const failed = all.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  if (failed.length < all.length || flags.due) process.exitCode = exitCodes.partly;
  else process.exitCode = failed.every(({ busy }) => busy) ? exitCodes.busy : exitCodes.failed;
}

const nothingToDo = (store: Forge['store']): string =>
  `nothing to do: mirrors up to date: ${servedMirrors(store).length}`;

const describePull = ({ repository, url, ok, came, error }: PullResult): string =>
  `- ${repository} from ${url}: ${ok ? describeCame(came) || 'nothing new' : (error ?? '')}`;

function describe({ repository, mirror, ok, pushed, commits, bytes, error, parts }: SyncResult): string {
  const what = `${repository} to ${mirror}`;
  if (!ok) return `- ${what}: ${error ?? ''}`;
  const others = parts
    .filter(({ did }) => did !== '')
    .map(({ part, did }) => `; ${part}: ${did}`)
    .join('');
  if (pushed === 0) return `- ${what}: ${others === '' ? 'up to date' : others.slice(2)}`;
  const refs = pushed === 1 ? '1 ref' : `${pushed} refs`;
  return `- ${what}: ${refs}, ${commits === 1 ? '1 commit' : `${commits} commits`}, ${prettyBytes(bytes)}${others}`;
}

import prettyBytes from 'pretty-bytes';
import { refuseWhileFenced } from '../backup/fence.ts';
import { pathsUnder } from '../config/paths.ts';
import { exitCodes, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { causeOf, deadlineIn } from '../mirror/deadline.ts';
import { takeSyncRequest } from '../mirror/request.ts';
import { syncAll } from '../mirror/sync-all.ts';
import type { SyncOptions, SyncResult } from '../mirror/sync.ts';
import { describeCame } from '../mirror/upstream/came.ts';
import type { PullResult } from '../mirror/upstream/pull.ts';
import type { GlobalOptions } from '../server.ts';
import { servedMirrors } from '../store/mirrors.ts';
import { stopping } from './stopping.ts';
import { drySync } from './sync-dry.ts';
import { workOf } from './sync-jobs.ts';

export type SyncFlags = { due: boolean; dryRun: boolean; /** Milliseconds. */ deadline?: number };

/** How long one run may take, unless it is said. By hand what is pushed for the first time may take long. Milliseconds. */
const deadlines = { due: 2 * 3_600_000, asked: 24 * 3_600_000 } as const;
/** So long before its deadline a run begins nothing more: the next one does, which has the time for it. Milliseconds. */
const lastPart = 10 * 60_000;

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
    const work = workOf(forge, names, flags);
    const counts = ({ busy }: { busy: boolean }) => !(busy && flags.due);
    const deadline = flags.deadline ?? deadlines[flags.due ? 'due' : 'asked'];
    const late = deadlineIn(deadline);
    const until = Date.now() + Math.max(deadline / 2, deadline - lastPart);
    if (flags.dryRun) {
      const looked = await drySync(forge, work.upstreams(), work.mirrors(), late).catch((error: unknown) => {
        throw causeOf(error, late);
      });
      answer(looked.filter(counts), flags);
      return;
    }
    // Another server may be this one, brought back: both would push.
    if (!flags.due) refuseWhileFenced(forge);
    const stop = stopping();
    const signal = AbortSignal.any([stop, late]);
    const tell = (busy: boolean, line: string) => {
      if (!(busy && flags.due) && (forge.out.live || flags.due)) forge.out.say(line);
    };
    const begins = (what: string) => {
      if (forge.out.live && !flags.due) forge.out.say(`${what}: at work`);
    };
    const { pulled, results } = await syncAll(
      forge,
      work,
      {
        ...{ signal, again: flags.due, until, progress: progressOf(forge) },
        begun: (repository, mirror) => begins(`${repository} to ${mirror}`),
      },
      {
        pulling: (repository, url) => begins(`${repository} from ${url}`),
        pulled: (result) => tell(result.busy, describePull(result)),
        pushed: (result) => tell(result.busy, describe(result)),
      },
    );
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
  // Where talk and results are on the same screen, each has been said already.
  const said = flags.due || (out.live && out.screen !== undefined) ? '' : lines.join('\n');
  out.result({ pulled, results }, all.length > 0 || flags.due ? said : nothingToDo(store));
  answer(all, flags);
}

/** The exit code. */
function answer(all: readonly { ok: boolean; busy: boolean }[], flags: SyncFlags): void {
  const failed = all.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  if (failed.length < all.length || flags.due) process.exitCode = exitCodes.partly;
  else process.exitCode = failed.every(({ busy }) => busy) ? exitCodes.busy : exitCodes.failed;
}

const nothingToDo = (store: Forge['store']): string =>
  `nothing to do: mirrors up to date: ${servedMirrors(store).length}`;

const describePull = ({ repository, url, ok, came, error, next }: PullResult): string =>
  `- ${repository} from ${url}: ${ok ? describeCame(came) || 'nothing new' : [error, next].filter(Boolean).join(' ')}`;

function describe(result: SyncResult): string {
  const { repository, mirror, ok, pushed, commits, bytes, error, overwrote, parts } = result;
  const what = `${repository} to ${mirror}`;
  const lost = overwrote.map((ref) => `; overwrote ${ref}`).join('');
  if (!ok) return `- ${what}: ${error ?? ''}${lost}`;
  const others = parts
    .filter(({ did }) => did !== '')
    .map(({ part, did }) => `; ${part}: ${did}`)
    .concat(lost)
    .join('');
  if (pushed === 0) return `- ${what}: ${others === '' ? 'up to date' : others.slice(2)}`;
  const refs = pushed === 1 ? '1 ref' : `${pushed} refs`;
  return `- ${what}: ${refs}, ${commits === 1 ? '1 commit' : `${commits} commits`}, ${prettyBytes(bytes)}${others}`;
}

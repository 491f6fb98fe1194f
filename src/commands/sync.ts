import prettyBytes from 'pretty-bytes';
import { isFenced, refuseWhileFenced } from '../backup/fence.ts';
import { pathsUnder } from '../config/paths.ts';
import { exitCodes, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { lookAtMirrored } from '../mirror/look.ts';
import { takeSyncRequest } from '../mirror/request.ts';
import { syncAll } from '../mirror/sync-all.ts';
import type { SyncJob, SyncOptions, SyncResult } from '../mirror/sync.ts';
import { dueMirrors, unfinishedMirrors } from '../plan/sync.ts';
import type { GlobalOptions } from '../server.ts';
import { mirrorsWithFailingParts } from '../store/mirror-parts.ts';
import { mirrorsOf, servedMirrors } from '../store/mirrors.ts';
import { getRepository } from '../store/repositories.ts';
import { drySync } from './sync-dry.ts';

export type SyncFlags = { due: boolean; dryRun: boolean };

/** How long one run may take, the first push of a large repository included. Milliseconds. */
const deadline = 2 * 3_600_000;

/**
 * `fossilrepo sync [REPO…]`: brings mirrors up to date. With names: these, whatever is known of them. Without: those that differ or failed.
 * `--due`, as a timer says it: those that it is time for. Answers 6 when some failed, 5 when all that was asked for is at work elsewhere.
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
    const jobs = jobsOf(forge, names, flags);
    if (flags.dryRun) {
      await drySync(forge, jobs());
      return;
    }
    // Another server may be this one, brought back: both would push.
    if (!flags.due) refuseWhileFenced(forge.store);
    const stop = stopping();
    const results = await syncAll(
      forge,
      jobs,
      {
        signal: AbortSignal.any([stop, AbortSignal.timeout(deadline)]),
        again: flags.due,
        progress: progressOf(forge),
      },
      (result) => {
        if (!(result.busy && flags.due) && (forge.out.live || flags.due)) forge.out.say(describe(result));
      },
    );
    report(forge, flags.due ? results.filter(({ busy }) => !busy) : results, flags);
    if (stop.aborted) process.exitCode = exitCodes.cancelled;
  });
}

function jobsOf(forge: Forge, names: readonly string[], flags: SyncFlags): () => SyncJob[] {
  const { store } = forge;
  if (names.length > 0) {
    const named = [...new Set(names)].flatMap((name) => {
      const mirrors = mirrorsOf(store, getRepository(store, name).id);
      if (mirrors.length === 0)
        throw new OperatorError(`${name} has no mirror.`, {
          next: `fossilrepo mirror add ${name} URL makes one.`,
          exit: 'usage',
        });
      return mirrors.map((mirror) => ({ mirror, why: 'asked' as const }));
    });
    return () => named;
  }
  const which = flags.due ? dueMirrors : unfinishedMirrors;
  return () => {
    if (flags.due) takeSyncRequest(forge.paths);
    if (flags.due && isFenced(store)) return [];
    const now = Date.now();
    const mirrors = servedMirrors(store);
    const found: SyncJob[] = which(mirrors, lookAtMirrored(forge, new Map(), now), now);
    const known = new Set(found.map(({ mirror }) => mirror.id));
    const failing = flags.due ? new Set<string>() : mirrorsWithFailingParts(store);
    return [
      ...found,
      ...mirrors.flatMap((mirror) =>
        failing.has(mirror.id) && !known.has(mirror.id) ? { mirror, why: 'asked' as const } : [],
      ),
    ];
  };
}

/** Aborted at the deadline, and by whoever ends us: nothing that we started lives on. */
function stopping(): AbortSignal {
  const ended = new AbortController();
  // The listeners stay: see serve.ts.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ended.abort());
  return ended.signal;
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
  results: readonly SyncResult[],
  flags: SyncFlags,
): void {
  const nothing = flags.due ? '' : `nothing to do: ${servedMirrors(store).length} mirrors are up to date`;
  const lines = out.live || flags.due ? [] : results.map(describe);
  out.result({ results }, results.length === 0 ? nothing : lines.join('\n'));
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length === 0) return;
  if (failed.length < results.length || flags.due) process.exitCode = exitCodes.partly;
  else process.exitCode = failed.every(({ busy }) => busy) ? exitCodes.busy : exitCodes.failed;
}

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

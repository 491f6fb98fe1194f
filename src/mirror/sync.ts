import { join } from 'node:path';
import pMap, { pMapSkip } from 'p-map';
import { isBusy, messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { DueMirror, Why } from '../plan/sync.ts';
import { findMirrorById, type Mirror } from '../store/mirrors.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import { withLock } from '../system/locks.ts';
import { refuseAnother } from './another.ts';
import { bringMirror } from './bring.ts';
import { causeOf, isStopped } from './deadline.ts';
import { type MirrorCache, refreshCache } from './export/cache.ts';
import { publicCheckins } from './export/checkins.ts';
import { stampIfThere } from './look.ts';
import { bringParts, type PartResult } from './parts.ts';
import { noteFailure, noteStopped, noteSuccess } from './outcome.ts';

/** A mirror to bring up to date, and why. */
export type SyncJob = DueMirror<Mirror>;

/** What became of it. */
export type SyncResult = {
  /** The repository's name, and the mirror's. */
  repository: string;
  mirror: string;
  ok: boolean;
  /** How many refs were moved there. */
  pushed: number;
  /** How many commits it did not have. */
  commits: number;
  /** How many bytes went over. */
  bytes: number;
  error: string | null;
  /** What others had pushed and is gone there now, as its policy says. In words. */
  overwrote: readonly string[];
  /** What was done about its wiki and its tickets, where something was to be done. */
  parts: PartResult[];
  /** Whether another fossilrepo is at work on it. */
  busy: boolean;
};

export type SyncOptions = {
  /** Ends every program that is at work. Only a deadline (`deadline.ts`) counts as the mirror's failure, when it had its turn. */
  signal?: AbortSignal | undefined;
  /** Told when a mirror's turn has come. */
  begun?: (repository: string, mirror: string) => void;
  /** Told now and then while check-ins are brought to Git. */
  progress?: (repository: string, done: number, all: number) => void;
  /** How long the repository's Git side is waited for while another makes it. Milliseconds. */
  patience?: number;
  /** Told when nothing is at work on a mirror any more, while others of its repository may still be. */
  ended?: (mirror: Mirror) => void;
};

/** Mirrors of one repository that are pushed to at once. */
const atOnce = 4;

/**
 * Brings mirrors of one repository up to date: its Git side once, then each by itself, so that one that is down holds up no other. Never
 * throws for one that can't be: that is remembered, and tried again.
 */
export async function syncRepository(
  forge: Forge,
  repository: string,
  jobs: readonly SyncJob[],
  options: SyncOptions = {},
): Promise<SyncResult[]> {
  const row = findRepositoryById(forge.store, repository);
  if (row?.state !== 'active') return [];
  const { signal } = options;
  if (signal?.aborted) return jobs.map(({ mirror }) => resultOf(row, mirror, signal.reason));
  const file = join(forge.paths.data, row.file);
  // Before it is read: what comes meanwhile makes a difference for the next time.
  const begunAt = Date.now();
  const stamp = stampIfThere(file);
  if (stamp === undefined) {
    const missing = new OperatorError(
      `The file of ${row.name} is not there; fossilrepo status says what to do.`,
    );
    return jobs.map(({ mirror }) => resultOf(row, mirror, missing));
  }
  for (const { mirror } of jobs) options.begun?.(row.name, mirror.name);
  const failed = (mirror: Mirror, why: Why, thrown: unknown) => {
    const error = isBusy(thrown) ? thrown : causeOf(thrown, signal);
    if (isBusy(error) || isStopped(signal)) return resultOf(row, mirror, error);
    noteFailure(forge, { row, mirror, why, begunAt, tookMs: Date.now() - begunAt }, error);
    return resultOf(row, mirror, error);
  };
  const makeSide = async () => ({
    was: { stamp, checkins: publicCheckins(file) },
    cache: await exported(forge, row, options, options.patience),
  });
  let made: ReturnType<typeof makeSide> | undefined;
  return await pMap(
    jobs,
    async ({ mirror, why, partsOnly }) => {
      try {
        const side = partsOnly ? undefined : await (made ??= makeSide());
        return await withLock(forge.paths, `push-${mirror.id}`, 0, async () => {
          const code = side
            ? await bring(forge, row, { mirror, why }, side.was, begunAt, side.cache, options).catch(
                (error: unknown) => failed(mirror, why, error),
              )
            : { ...resultOf(row, mirror, ''), ok: true, error: null };
          const parts = await bringParts(forge, row, mirror.id, { stamp, why, signal });
          // That its code is up to date is not said of one whose code waits.
          if (partsOnly && parts.every(({ did, error }) => did === '' && error === null)) return pMapSkip;
          return withParts(code, parts);
        });
      } catch (error) {
        return partsOnly ? resultOf(row, mirror, error) : failed(mirror, why, error);
      } finally {
        options.ended?.(mirror);
      }
    },
    { concurrency: atOnce },
  );
}

/** A repository's Git side, up to date. @param patience milliseconds to wait for another fossilrepo that makes it @throws OperatorError (busy) */
export async function exported(
  forge: Forge,
  row: Repository,
  { signal, progress }: SyncOptions,
  patience = 0,
): Promise<MirrorCache> {
  return await withLock(forge.paths, `export-${row.id}`, patience, () => {
    refuseAnother(forge, row);
    return refreshCache(forge, row, {
      ...(signal && { signal }),
      ...(progress && { progress: (done: number, all: number) => progress(row.name, done, all) }),
    });
  });
}

/** Under the mirror's lock: with its row as it is now. @param begunAt before the repository was read: what is written later is new to it */
async function bring(
  forge: Forge,
  row: Repository,
  { mirror, why }: SyncJob,
  was: { stamp: string; checkins: number },
  begunAt: number,
  cache: MirrorCache,
  { signal }: SyncOptions,
): Promise<SyncResult> {
  const now = findMirrorById(forge.store, mirror.id);
  if (!now) throw new OperatorError(`The mirror ${mirror.name} of ${row.name} was removed meanwhile.`);
  const startedAt = Date.now();
  const brought = await bringMirror(forge, now, cache, { why, signal });
  const one = { row, mirror: now, why, begunAt, tookMs: Date.now() - startedAt };
  const { commits, bytes, overwrote } = brought;
  const did = { pushed: brought.refs.length, commits, bytes, overwrote };
  if (brought.error === undefined) {
    noteSuccess(forge, one, { ...was, waiting: cache.facts.waiting.size }, brought);
    return { repository: row.name, mirror: now.name, ok: true, ...did, ...fine };
  }
  const error = causeOf(brought.error, signal);
  if (isStopped(signal)) noteStopped(forge, one, brought);
  else noteFailure(forge, one, error, brought);
  return { ...resultOf(row, now, error), ...did };
}

const fine = { error: null, parts: [], busy: false };

/** A part that failed is a failure of the mirror's, though its code is there. */
function withParts(code: SyncResult, parts: PartResult[]): SyncResult {
  const errors = parts.flatMap(({ part, error }) => (error === null ? [] : `${part}: ${error}`));
  const error = [code.error ?? [], ...errors].flat().join(' ');
  return { ...code, parts, ok: code.ok && errors.length === 0, error: error === '' ? null : error };
}

const resultOf = (
  row: Pick<Repository, 'name'>,
  mirror: Pick<Mirror, 'name'>,
  error: unknown,
): SyncResult => ({
  repository: row.name,
  mirror: mirror.name,
  ok: false,
  pushed: 0,
  commits: 0,
  bytes: 0,
  error: messageOf(error),
  overwrote: [],
  parts: [],
  busy: isBusy(error),
});

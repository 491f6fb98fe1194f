import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { asOperatorError } from '../repos/open.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { publicCheckins } from './export/checkins.ts';
import { readRefFacts, type RefFacts } from './export/facts.ts';
import { readHistory } from './export/history.ts';
import { attach } from './export/pick.ts';
import { wantedRefs } from './export/refs.ts';
import { stampIfThere } from './look.ts';

/** What a mirror lacks, by what was last pushed: nobody is asked. */
export type Behind = {
  /** Check-ins that came since its last success. */
  checkins: number;
  /** Branches and tags that are to be made, moved or deleted there. */
  refs: number;
};

/** How far a mirror is behind; undefined when the repository can't be read. */
export function behindOf(
  { paths, store }: Pick<Forge, 'paths' | 'store'>,
  row: Pick<Repository, 'file'>,
  mirror: Mirror,
): Behind | undefined {
  const file = join(paths.data, row.file);
  return unlessUnreadable(() => {
    const checkins = checkinsLacking(file, mirror);
    if (checkins === undefined) return undefined;
    return { checkins, refs: stampIfThere(file) === mirror.stamp ? 0 : refsBehind(store, file, mirror) };
  });
}

/** Its check-ins alone, for which no history is read: one count in the repository. */
export const checkinsBehind = (
  { paths }: Pick<Forge, 'paths'>,
  row: Pick<Repository, 'file'>,
  mirror: Pick<Mirror, 'stamp' | 'checkins'>,
): number | undefined => unlessUnreadable(() => checkinsLacking(join(paths.data, row.file), mirror));

function checkinsLacking(
  file: string,
  { stamp, checkins }: Pick<Mirror, 'stamp' | 'checkins'>,
): number | undefined {
  const now = stampIfThere(file);
  if (now === undefined) return undefined;
  // What was removed by a restore counts for nothing.
  return now === stamp ? 0 : Math.max(0, publicCheckins(file) - checkins);
}

function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof OperatorError) return undefined;
    throw error;
  }
}

/** By Fossil's hashes: the check-ins need not be in Git yet. */
function refsBehind(store: Forge['store'], file: string, mirror: Mirror): number {
  const { main, branches } = mirror;
  const wanted = wantedRefs(refFactsOf(file), { main, branches: branches ?? undefined });
  const last = new Map(pushedRefs(store, mirror.id).map(({ ref, fossil }) => [ref, fossil]));
  const there = new Set(wanted.map(({ ref }) => ref));
  const gone = [...last.keys()].filter((ref) => !there.has(ref));
  return wanted.filter(({ ref, fossil }) => last.get(ref) !== fossil).length + gone.length;
}

/** A repository's branches and tags as they are now, whatever of it is in Git. @throws OperatorError when the file can't be read */
export function refFactsOf(file: string): RefFacts {
  using database = new DatabaseSync(':memory:', { timeout: 15_000, defensive: true });
  try {
    database.exec('PRAGMA trusted_schema = OFF');
    attach(database, 'live', file, 'ro');
    database.exec('BEGIN');
    return readRefFacts(database, readHistory(database));
  } catch (error) {
    throw asOperatorError(file, error);
  }
}

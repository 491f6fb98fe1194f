import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import { type Mirror, updateMirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { withLock } from '../system/locks.ts';
import { type MirrorCache, refreshCache } from './export/cache.ts';
import { compareCache } from './compare/cache.ts';
import { remoteOf } from './credential.ts';
import { wantedOf } from './difference.ts';
import { stampIfThere } from './look.ts';
import { listRemote, withRemote } from './remote/remote.ts';

/** What came of one repository's verification. */
export type VerifiedMirrors = {
  /** The repository's name. */
  repository: string;
  ok: boolean;
  checkins: number;
  entries: number;
  files: number;
  /** How its Git side differs from it; some of them. */
  differences: readonly string[];
  mirrors: VerifiedMirror[];
};

export type VerifiedMirror = {
  mirror: string;
  /** Null: it could not be asked. */
  ok: boolean | null;
  refs: number;
  error: string | null;
};

/** How long another fossilrepo may be at work on the same. Milliseconds. */
const patience = 60_000;
/** How many refs that differ are named. */
const named = 5;

/**
 * Compares a repository with Git by a way of its own: every check-in, its parents, every tree and file; then each mirror's refs with those that it
 * shall have. What comes of it is remembered with the mirrors.
 * @param sample so many check-ins, chosen by chance; left out: all
 * @throws OperatorError when the Git side can't be made or read at all
 */
export async function verifyMirrors(
  forge: Forge,
  row: Repository,
  mirrors: readonly Mirror[],
  sample?: number,
): Promise<VerifiedMirrors> {
  const begunAt = Date.now();
  const stamp = stampIfThere(join(forge.paths.data, row.file));
  const { cache, compared } = await withLock(forge.paths, `export-${row.id}`, patience, async () => {
    const made = await refreshCache(forge, row);
    // What was pushed since is compared the next time.
    const options = { since: begunAt, ...(sample !== undefined && { sample }) };
    return { cache: made, compared: await compareCache(forge, row, made, options) };
  });
  const [difference] = compared.differences;
  const checked: VerifiedMirror[] = [];
  for (const mirror of mirrors) {
    const one = await verifyRefs(forge, mirror, cache, mirror.stamp === stamp);
    checked.push(one);
    const wrong = difference ?? (one.ok === false ? one.error : null);
    // One that can't be asked says so by failing.
    if (one.ok !== null || difference !== undefined)
      updateMirror(forge.store, mirror.id, { verifiedAt: begunAt, verifyError: wrong });
  }
  return {
    repository: row.name,
    ok: difference === undefined && checked.every(({ ok }) => ok !== false),
    checkins: compared.checkins,
    entries: compared.entries,
    files: compared.files,
    differences: compared.differences,
    mirrors: checked,
  };
}

/** @param current whether the mirror claims to have all that the repository has; otherwise what was pushed last counts */
async function verifyRefs(
  forge: Forge,
  mirror: Mirror,
  cache: MirrorCache,
  current: boolean,
): Promise<VerifiedMirror> {
  const expected = current ? wantedOf(mirror, cache) : pushedRefs(forge.store, mirror.id);
  try {
    const there = await withRemote(forge, remoteOf(forge, mirror), listRemote);
    const wrong = expected.filter(({ ref, git }) => there.get(ref) !== git);
    const says = wrong
      .slice(0, named)
      .map(({ ref, git }) => `${ref} is ${there.get(ref) ?? 'missing'} there, not ${git}`);
    const more = wrong.length > named ? ` and ${wrong.length - named} more` : '';
    // With this policy what others changed there stays.
    const ok = wrong.length === 0 || mirror.onDivergence === 'keep';
    return { mirror: mirror.name, ok, refs: expected.length, error: ok ? null : says.join('; ') + more };
  } catch (error) {
    return { mirror: mirror.name, ok: null, refs: expected.length, error: messageOf(error) };
  }
}

import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { mirrorPart } from '../store/mirror-parts.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import { findMirrorById, type Mirror, updateMirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { withLock } from '../system/locks.ts';
import { refuseAnother } from './another.ts';
import { type MirrorCache, refreshCache } from './export/cache.ts';
import { compareCache } from './compare/cache.ts';
import { remoteOf } from './credential.ts';
import { sayDiffering, wantedOf } from './difference.ts';
import { stampIfThere } from './look.ts';
import { listRemote, withRemote } from './remote/remote.ts';
import { wikiBranch } from './wiki/sync.ts';

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
  /** Refs that others changed there, which stay so by the mirror's policy. */
  kept: string[];
  /** Branches and tags that are not from here now: of others, or of a mirror that was here before. They are left alone. */
  extra: string[];
  error: string | null;
};

/** How long another fossilrepo may be at work on the same. Milliseconds. */
const patience = 60_000;

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
  // Before anything can fail.
  for (const { id } of mirrors) updateMirror(forge.store, id, { verifyTriedAt: begunAt });
  const stampNow = () => stampIfThere(join(forge.paths.data, row.file));
  const before = stampNow();
  const { cache, stamp, compared } = await withLock(forge.paths, `export-${row.id}`, patience, async () => {
    refuseAnother(forge, row);
    const made = await refreshCache(forge, row);
    // With a push in between nobody knows which of both states was read.
    const still = stampNow() === before ? before : undefined;
    // What was pushed since is compared the next time.
    const options = { since: begunAt, ...(sample !== undefined && { sample }) };
    return { cache: made, stamp: still, compared: await compareCache(forge, row, made, options) };
  });
  const [difference] = compared.differences;
  const checked: VerifiedMirror[] = [];
  for (const mirror of mirrors) {
    const { found, ...one } = await verifyRefs(forge, mirror, cache, stamp);
    checked.push(one);
    // One that can't be asked says so by failing.
    if (one.ok !== null || difference !== undefined)
      updateMirror(forge.store, mirror.id, {
        ...found,
        verifiedAt: begunAt,
        verifyError: difference ?? found?.verifyError ?? null,
      });
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

/** @param stamp of the file from which the Git side was made; what a mirror that has just this claims is wanted there, else what was pushed last */
async function verifyRefs(
  forge: Forge,
  { id, name }: Mirror,
  cache: MirrorCache,
  stamp: string | undefined,
): Promise<VerifiedMirror & { found?: Partial<Mirror> & Pick<Mirror, 'verifyError'> }> {
  const none = { mirror: name, ok: null, refs: 0, kept: [], extra: [] };
  try {
    // Nobody pushes meanwhile, and the row is as the last push left it.
    return await withLock(forge.paths, `push-${id}`, patience, async () => {
      const mirror = findMirrorById(forge.store, id);
      if (!mirror) return { ...none, error: 'it was removed meanwhile' };
      const current = stamp !== undefined && mirror.stamp === stamp;
      const expected = current ? wantedOf(mirror, cache) : pushedRefs(forge.store, id);
      const there = await withRemote(forge, remoteOf(forge, mirror), listRemote);
      const wiki = mirrorPart(forge.store, id, 'wiki').git === null ? undefined : wikiBranch;
      const known = new Set([...expected.map(({ ref }) => ref), wiki]);
      const extra = [...there.keys()].filter((ref) => /^refs\/(heads|tags)\//.test(ref) && !known.has(ref));
      const differing = expected.filter(({ ref, git }) => there.get(ref) !== git);
      const ours = new Set(cache.commits.values());
      const others = ({ ref }: { ref: string }) => there.has(ref) && !ours.has(there.get(ref) ?? '');
      const kept = mirror.onDivergence === 'keep' ? differing.filter(others).map(({ ref }) => ref) : [];
      const wrong = differing.filter(({ ref }) => !kept.includes(ref));
      const error = sayDiffering(wrong, there);
      // What is refused is the failure of the comparison, which names the commits: it comes soon, and this is no second one.
      const refused = mirror.onDivergence === 'refuse' ? wrong.filter(others) : [];
      const found = {
        verifyError: sayDiffering(
          wrong.filter((one) => !refused.includes(one)),
          there,
        ),
        ...(refused.length > 0 && mirror.error === null && { comparedAt: null }),
      };
      return { mirror: name, ok: error === null, refs: expected.length, kept, extra, error, found };
    });
  } catch (error) {
    return { ...none, error: messageOf(error) };
  }
}

import { randomInt } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Forge } from '../../forge.ts';
import type { Repository } from '../../store/repositories.ts';
import type { MirrorCache } from '../export/cache.ts';
import { openHashes } from '../export/hashes.ts';
import { type Comparison, compareWithGit } from './compare.ts';

/**
 * Compares a repository with its Git side, as `refreshCache` just answered it: all of it, hidden things that Git must not have included, or
 * some check-ins chosen by chance with all their files. The caller holds the lock for its mirrors.
 * @param options.sample how many check-ins; undefined: all
 * @param options.since when the Git side began to be brought up to date; what was received later isn't missed. Milliseconds since 1970.
 */
export async function compareCache(
  { paths }: Pick<Forge, 'paths'>,
  row: Pick<Repository, 'file'>,
  cache: MirrorCache,
  options: { sample?: number; since?: number; signal?: AbortSignal } = {},
): Promise<Comparison> {
  const file = join(paths.data, row.file);
  const { sample, ...common } = { ...options, waiting: cache.facts.waiting };
  if (sample === undefined) return compareWithGit(file, cache.folder, common);
  using hashes = openHashes(dirname(cache.folder));
  return await compareWithGit(file, cache.folder, {
    ...common,
    sample: {
      checkins: chosen([...cache.commits.keys()], sample),
      git: (checkin) => cache.commits.get(checkin),
      files: hashes.fileOf,
    },
  });
}

function chosen(all: readonly string[], count: number): Set<string> {
  const found = new Set<string>();
  while (found.size < Math.min(count, all.length)) {
    const one = all[randomInt(all.length)];
    if (one !== undefined) found.add(one);
  }
  return found;
}

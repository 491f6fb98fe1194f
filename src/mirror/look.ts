import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { lookedAt, type Seen } from '../plan/sync.ts';
import { mirroredFiles } from '../store/mirrors.ts';
import { changedAt, stampOf } from './export/seen.ts';

/** Looks at the file of each repository that has mirrors; one that isn't there now is left out. @param former what was seen before */
export const lookAtMirrored = (
  { store, paths }: Pick<Forge, 'store' | 'paths'>,
  former: ReadonlyMap<string, Seen>,
  now: number,
): Map<string, Seen> =>
  new Map(
    mirroredFiles(store).flatMap(({ repository, file }): [string, Seen][] => {
      const path = join(paths.data, file);
      const stamp = stampIfThere(path);
      if (stamp === undefined) return [];
      const look = { stamp, changedAt: changedAt(path) };
      return [[repository, lookedAt(former.get(repository), look, now)]];
    }),
  );

/** Undefined for a file that is not there, as while it is moved. */
export const stampIfThere = (file: string): string | undefined =>
  existsSync(file) ? stampOf(file) : undefined;

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../../config/paths.ts';

/** Where a repository's Git side is kept. All of it follows from the repository and the idents: it may be deleted at any time. */
export const cacheFolder = (paths: Pick<Paths, 'mirrors'>, repository: string): string =>
  join(paths.mirrors, repository);

/** Deletes it; the next use makes it anew, with the same hashes. */
export const dropCache = (paths: Pick<Paths, 'mirrors'>, repository: string): void =>
  rmSync(cacheFolder(paths, repository), { recursive: true, force: true });

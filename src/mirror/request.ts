import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { writeAtomic } from '../system/files.ts';

const requestFile = (paths: Pick<Paths, 'syncRequests'>): string => join(paths.syncRequests, 'request');

/** Asks for `sync --due`: a `.path` unit, or `fossilrepo up`, sees it and begins one. One that lies there already keeps its age. */
export function requestSync(paths: Pick<Paths, 'syncRequests'>): void {
  if (isSyncRequested(paths)) return;
  const file = requestFile(paths);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeAtomic(file, '', 0o600);
}

export const isSyncRequested = (paths: Pick<Paths, 'syncRequests'>): boolean =>
  existsSync(requestFile(paths));

/** Since when it was asked for and nobody came. Milliseconds since 1970. */
export const syncRequestedAt = (paths: Pick<Paths, 'syncRequests'>): number | undefined =>
  statSync(requestFile(paths), { throwIfNoEntry: false })?.mtimeMs;

/** To be called before it is looked what is due: a request that comes while we work starts the next one. */
export function takeSyncRequest(paths: Pick<Paths, 'syncRequests'>): void {
  rmSync(requestFile(paths), { force: true });
}

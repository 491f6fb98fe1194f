import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** How much may be written below a folder, which may not be there yet. Bytes. */
export function freeFor(folder: string): number {
  const { bavail, bsize } = statfsSync(nearest(folder));
  return bavail * bsize;
}

/** The folder itself, or the one nearest above it that is there. */
export const nearest = (folder: string): string => (existsSync(folder) ? folder : nearest(dirname(folder)));

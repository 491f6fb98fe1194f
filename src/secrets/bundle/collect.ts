import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import { codeOf, OperatorError } from '../../errors.ts';
import type { BundleFile } from './format.ts';
import { type Place, placesOf } from './places.ts';

/** The files of a bundle, by path, and the paths of what was left out because it is a link or no regular file. */
export type Collected = { files: BundleFile[]; left: string[] };

/** What all of it may have: far more than the certificates of ten thousand names. Bytes. */
const most = 128 * 1024 ** 2;

/**
 * Reads all that belongs into the bundle. Folders and files are opened one from the other without following links: the edge's user, and
 * the service user above it, may change theirs while root reads.
 * @throws OperatorError when it is too much, or something may not be read
 */
export function collect(paths: Paths): Collected {
  const found: Collected = { files: [], left: [] };
  let bytes = 0;

  const takeFile = (handle: number, path: string, place: Place): void => {
    const { size, mode } = fstatSync(handle);
    bytes += size;
    if (bytes > most)
      throw new OperatorError(`There are over ${most / 1024 ** 2} MB of secrets and certificates: ${path}`, {
        next: "See what lies there: it should be keys, certificates and Caddy's account only.",
      });
    const base64 = readFileSync(handle).toString('base64');
    found.files.push({ path: relative(paths.root, path), mode: mode & 0o777, owner: place.owner, base64 });
  };

  const takeFolder = (handle: number, folder: string, inPlace: string, place: Place): void => {
    for (const entry of readdirSync(inside(handle), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const below = inPlace === '' ? entry.name : `${inPlace}/${entry.name}`;
      if (!place.takes(entry.isDirectory() ? `${below}/x` : below)) continue;
      const taken = opened(inside(handle, entry.name), (inner) => {
        if (fstatSync(inner).isDirectory()) takeFolder(inner, path, below, place);
        else if (fstatSync(inner).isFile()) takeFile(inner, path, place);
        else return false;
        return true;
      });
      if (taken === false) found.left.push(relative(paths.root, path));
    }
  };

  for (const place of placesOf(paths)) {
    const enter = (handle: number, folder: string, names: readonly string[]): void => {
      const [name, ...rest] = names;
      if (name === undefined) {
        takeFolder(handle, folder, '', place);
        return;
      }
      const path = join(folder, name);
      const entered = opened(inside(handle, name), (inner) => {
        if (!fstatSync(inner).isDirectory()) return false;
        enter(inner, path, rest);
        return true;
      });
      if (entered === false) found.left.push(relative(paths.root, path));
    };
    opened(place.base, (handle) => enter(handle, place.base, place.below), 'follow');
  }
  found.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found;
}

/** A path that starts at an open folder, whatever has become of that folder's name meanwhile: openat(2), which Node doesn't have. */
const inside = (handle: number, name = '') => `/proc/self/fd/${handle}/${name}`;

/** Does `work` with an open file or folder. @returns false for a link, undefined when nothing is there */
function opened<T>(path: string, work: (handle: number) => T, links?: 'follow'): T | false | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
  let handle: number;
  try {
    handle = openSync(path, links ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    // A link, or a socket.
    if (codeOf(error) === 'ELOOP' || codeOf(error) === 'ENXIO') return false;
    throw error;
  }
  try {
    return work(handle);
  } finally {
    closeSync(handle);
  }
}

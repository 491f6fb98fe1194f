import { chownSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import { OperatorError } from '../../errors.ts';
import { writeAtomic } from '../../system/files.ts';
import type { Bundle, BundleOwner } from './format.ts';
import { type Place, placeOf, type PlaceName } from './places.ts';

/** Numbers of the users that files belong to; left out: whoever runs the command. */
export type PlaceOwners = Partial<Record<BundleOwner, { uid: number; gid: number }>>;

/**
 * Lays files of a bundle down below a root, each whole or not at all, with its mode. Once more, with `owners` when the users exist, gives
 * them to these. Every path is looked at before the first is written.
 * @returns the files' absolute paths
 * @throws OperatorError when the bundle holds a path where nothing of it belongs, or a link stands in the way
 */
export function placeBundle(
  bundle: Bundle,
  paths: Paths,
  which: readonly PlaceName[],
  owners: PlaceOwners = {},
): string[] {
  const wanted = bundle.files
    .map((file) => ({ file, place: placeOf(file.path, paths) }))
    .filter(({ place }) => which.includes(place.name))
    .map((each) => ({ ...each, path: join(paths.root, each.file.path) }));
  for (const { place, path } of wanted) refuseLinks(place, path);
  for (const { file, place, path } of wanted) {
    const owner = owners[place.owner];
    makeFolders(place, path, owner);
    writeAtomic(path, Buffer.from(file.base64, 'base64'), file.mode, owner);
  }
  return wanted.map(({ path }) => path);
}

/** The folders between a place's base and a file, the outermost first. */
function foldersTo(place: Place, path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folder.length > place.base.length; folder = dirname(folder))
    folders.unshift(folder);
  return folders;
}

function refuseLinks(place: Place, path: string): void {
  for (const piece of [...foldersTo(place, path), path])
    if (lstatSync(piece, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new OperatorError(`${piece} is a link; nothing is written through it.`, {
        next: 'Take the link away and run the command again.',
      });
}

function makeFolders(place: Place, path: string, owner: { uid: number; gid: number } | undefined): void {
  mkdirSync(place.base, { recursive: true, mode: 0o755 });
  const own = join(place.base, ...place.below);
  for (const folder of foldersTo(place, path)) {
    const inPlace = folder.length >= own.length;
    mkdirSync(folder, { recursive: true, mode: inPlace ? 0o700 : 0o755 });
    if (owner && inPlace) chownSync(folder, owner.uid, owner.gid);
  }
}

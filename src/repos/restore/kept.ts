import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../../forge.ts';
import { forgetUndo, keptUndo, type Restore, restoresOf } from '../../store/restores.ts';
import { linkDurably } from '../../system/files.ts';
import { removeDatabase } from '../make.ts';

type Keeper = Pick<Forge, 'paths' | 'store'>;

/** How long the state before a restore is kept. Milliseconds. */
export const undoKept = 7 * 24 * 3_600_000;

/** A database file, and the logs in which some of it may still be. */
const pieces = ['', '-wal', '-journal'] as const;

/** Whether there is anything of a database to keep: without its file, a log may hold what never came into the replica. */
export const isThere = (file: string): boolean => pieces.some((piece) => existsSync(file + piece));

/** The first that is there of what is kept of a database: its file, or else a log; undefined when nothing is. */
export const whereKept = (keep: string): string | undefined =>
  pieces.map((piece) => keep + piece).find((path) => existsSync(path));

/** Keeps what lies there, as it is, under another name. */
export function keepAside(file: string, keep: string): void {
  for (const piece of pieces) if (existsSync(file + piece)) linkDurably(file + piece, keep + piece);
}

/**
 * Puts back what is kept where it is missing. A log goes to its own file only: beside another one it would be written into that.
 * @returns whether all that is kept is in its place now
 */
function putBack(keep: string, file: string): boolean {
  return pieces.every((piece) => {
    if (existsSync(keep + piece) && !existsSync(file + piece)) linkDurably(keep + piece, file + piece);
    // A log that was made since is no harm where none is kept.
    return inodeOf(keep + piece) === inodeOf(file + piece) || (piece !== '' && !existsSync(keep + piece));
  });
}

const inodeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.ino;

/** Removes what is kept of former states for longer than it is promised, and forgets what has been put back. */
export function dropOldUndos(forge: Keeper, now = Date.now()): void {
  for (const restore of keptUndo(forge.store)) {
    const there = restore.undoFile !== null && isThere(join(forge.paths.data, restore.undoFile));
    if (!there || now - restore.begunAt > undoKept) dropUndo(forge, restore);
  }
}

/** Removes all that is kept of a repository: the end of a purge. */
export function dropUndosOf(forge: Keeper, repository: string): void {
  for (const restore of restoresOf(forge.store, repository)) dropUndo(forge, restore);
}

/** A restore that changed nothing keeps nothing: what it set aside is in its place. What isn't is kept like any former state. */
export function giveBack(
  forge: Keeper,
  restore: Pick<Restore, 'id' | 'undoFile'>,
  live: string | undefined,
): void {
  const { undoFile } = restore;
  const back = undoFile === null || live === undefined || putBack(join(forge.paths.data, undoFile), live);
  if (back) dropUndo(forge, restore);
}

/** Removes what one restore keeps. */
export function dropUndo({ paths, store }: Keeper, { id, undoFile }: Pick<Restore, 'id' | 'undoFile'>): void {
  if (undoFile !== null) removeDatabase(join(paths.data, undoFile));
  forgetUndo(store, id);
}

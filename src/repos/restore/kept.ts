import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../../forge.ts';
import { forgetUndo, keptUndo, type Restore, restoresOf } from '../../store/restores.ts';
import { removeDatabase } from '../make.ts';

type Keeper = Pick<Forge, 'paths' | 'store'>;

/** How long the state before a restore is kept. Milliseconds. */
export const undoKept = 7 * 24 * 3_600_000;

/** Removes what is kept of former states for longer than it is promised, and forgets what has been put back. */
export function dropOldUndos(forge: Keeper, now = Date.now()): void {
  for (const restore of keptUndo(forge.store)) {
    const there = restore.undoFile !== null && existsSync(join(forge.paths.data, restore.undoFile));
    if (!there || now - restore.begunAt > undoKept) dropUndo(forge, restore);
  }
}

/** Removes all that is kept of a repository: the end of a purge. */
export function dropUndosOf(forge: Keeper, repository: string): void {
  for (const restore of restoresOf(forge.store, repository)) dropUndo(forge, restore);
}

/** Removes what one restore keeps. */
export function dropUndo({ paths, store }: Keeper, { id, undoFile }: Pick<Restore, 'id' | 'undoFile'>): void {
  if (undoFile !== null) removeDatabase(join(paths.data, undoFile));
  forgetUndo(store, id);
}

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import type { Repository } from '../../store/repositories.ts';
import { lastDoneRestore, type Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { type Newer, newerThan } from '../contents/receipts.ts';
import { undoKept } from './kept.ts';
import { changeBy, checkState, type PreparedRestore, withAccessOfToday } from './prepare.ts';

/** A restore that can be taken back, and what was pushed since. */
export type PreparedUndo = PreparedRestore & { newer: Newer };

/**
 * Gets the state from before the last restore ready.
 * @throws OperatorError (usage) when there is none, or it is too old
 */
export async function prepareUndo(forge: Forge, row: Repository): Promise<PreparedUndo> {
  const last = lastDoneRestore(forge.store, row.id);
  const file = last?.undoFile;
  if (last === undefined || file == null || !existsSync(join(forge.paths.data, file)))
    throw notThere(row.name, last);
  const state = join(forge.paths.data, file);
  const counts = await checkState(forge, row, state);
  withAccessOfToday(forge, row, state);
  return {
    id: randomUUID(),
    row,
    kind: 'undo',
    at: new Date(last.begunAt),
    file,
    counts,
    difference: changeBy(forge, row, state),
    newer: newerThan(join(forge.paths.data, row.file), last.receipt),
  };
}

function notThere(name: string, last: Restore | undefined): OperatorError {
  const expired = last !== undefined && Date.now() - last.begunAt > undoKept;
  return new OperatorError(
    expired
      ? `The restore of ${name} on ${showInstant(new Date(last.begunAt))} can't be taken back any more.`
      : `There is no restore of ${name} that could be taken back.`,
    {
      next: 'What was there before one is kept for seven days. fossilrepo restore --at brings back any moment in the window.',
      exit: 'usage',
    },
  );
}

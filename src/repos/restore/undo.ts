import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import type { Repository } from '../../store/repositories.ts';
import { lastDoneRestore, type Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { type Newer, newerThan } from '../contents/receipts.ts';
import type { Aside } from './aside.ts';
import { undoKept, whereKept } from './kept.ts';
import { checkState, type PreparedRestore } from './prepare.ts';
import { readPresent } from './present.ts';

/** The last restore, or its undo, which is about to be taken back, and what was pushed since; undefined where that can't be read. */
export type PreparedUndo = PreparedRestore & { newer: Newer | undefined };

/**
 * Gets the state from before the last restore ready, or from before it was taken back.
 * @param kind `restore`: what the last restore brought is to be there again, and can be taken back again
 * @throws OperatorError: usage when there is none, it is too old, or it was taken back before; check when what is kept is damaged
 */
export async function prepareUndo(
  forge: Forge,
  row: Repository,
  kind: Restore['kind'],
  aside: Aside,
): Promise<PreparedUndo> {
  const last = lastDoneRestore(forge.store, row.id);
  const file = last?.undoFile ?? undefined;
  const state = file === undefined ? undefined : join(forge.paths.data, file);
  if (last?.kind === kind) throw broken(row.name, last);
  if (last !== undefined && last.was !== 'whole') throw noState(row.name, last, state);
  if (last === undefined || file === undefined || state === undefined || !existsSync(state))
    throw notThere(row.name, last);
  const id = randomUUID();
  aside.note({ id, repository: row.id, kind, at: last.begunAt });
  try {
    const counts = await checkState(forge, row, state);
    const live = join(forge.paths.data, row.file);
    const present = readPresent(live, state);
    const newer = present.is === 'whole' ? newerThan(live, last.receipt) : undefined;
    return { id, row, kind, at: new Date(last.begunAt), file, counts, present, newer };
  } catch (error) {
    aside.drop(id);
    throw error;
  }
}

/** Done before, and the file was lost since then: to take that back would not give what is asked for. */
function broken(name: string, { kind, begunAt }: Pick<Restore, 'kind' | 'begunAt'>): OperatorError {
  const when = showInstant(new Date(begunAt));
  return new OperatorError(
    kind === 'undo'
      ? `The last restore of ${name} was already taken back on ${when}, and its file is damaged or gone since.`
      : `What the last restore of ${name} had brought was put in its place on ${when}, and its file is damaged or gone since.`,
    { next: `Bring it back from the replica: fossilrepo restore ${name} --at now.`, exit: 'usage' },
  );
}

/** What lay there before the restore was no state of the repository. */
function noState(
  name: string,
  { was, begunAt }: Pick<Restore, 'was' | 'begunAt'>,
  kept: string | undefined,
): OperatorError {
  const when = showInstant(new Date(begunAt));
  const until = showInstant(new Date(begunAt + undoKept));
  const left = kept === undefined ? undefined : whereKept(kept);
  return new OperatorError(
    was === 'missing'
      ? `Before the last restore of ${name}, or its undo, on ${when} there was nothing: its file was gone.`
      : `Before the last restore of ${name}, or its undo, on ${when} its file was damaged: that is not put back.`,
    {
      next:
        left === undefined
          ? `fossilrepo restore ${name} --at brings back any moment in the window.`
          : `What was left of it is kept until ${until}, as it was: ${left}`,
      exit: 'usage',
    },
  );
}

function notThere(name: string, last: Restore | undefined): OperatorError {
  const expired = last !== undefined && Date.now() - last.begunAt > undoKept;
  return new OperatorError(
    expired
      ? `The last restore of ${name}, or its undo, on ${showInstant(new Date(last.begunAt))} can't be taken back any more.`
      : `There is no restore of ${name} that could be taken back.`,
    {
      next: 'What was there before one is kept for seven days. fossilrepo restore --at brings back any moment in the window.',
      exit: 'usage',
    },
  );
}

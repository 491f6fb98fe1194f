import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { applyRepositorySteps } from '../../apply/repository.ts';
import { refuseWhileFenced } from '../../backup/fence.ts';
import { messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { planExchange, undoPlace } from '../../plan/exchange.ts';
import type { RepositoryStep } from '../../plan/repository.ts';
import { addEvent } from '../../store/events.ts';
import { findRepositoryById, type Repository } from '../../store/repositories.ts';
import { beginRestore, endRestore, type Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { lastReceipt } from '../contents/receipts.ts';
import { cameBy, lostDocuments, shunnedIn } from './fit.ts';
import { giveBack, isThere } from './kept.ts';
import type { PreparedRestore } from './prepare.ts';
import { readPresent } from './present.ts';

/** How a prepared state takes its repository's place. @param options.shun whether clients may not bring back what it lacks */
export function planRestore(
  forge: Pick<Forge, 'paths'>,
  prepared: PreparedRestore,
  { shun }: { shun: boolean },
): RepositoryStep[] {
  const { id, row, file, present } = prepared;
  const [live, state] = [join(forge.paths.data, row.file), join(forge.paths.data, file)];
  return planExchange(row, {
    from: file,
    present: present.is,
    keep: isThere(live) ? undoPlace(id) : undefined,
    restore: id,
    shun:
      present.is === 'whole' ? [...shunnedIn(live, state), ...(shun ? lostDocuments(live, state) : [])] : [],
  });
}

/**
 * Does it. The caller holds the `changes` lock. What was there is kept for `--undo`. A failure leaves the former state, open.
 * @returns what failed after the new state was in its place, which is open then; undefined when nothing did
 * @throws OperatorError: busy when the repository was renamed, deleted or restored meanwhile
 */
export async function applyRestore(
  forge: Forge,
  prepared: PreparedRestore,
  options: { shun: boolean },
): Promise<string | undefined> {
  const { id, row, kind, at, file } = prepared;
  refuseWhileFenced(forge);
  refuseChanged(row, findRepositoryById(forge.store, row.id));
  refuseOther(forge, prepared);
  const steps = planRestore(forge, prepared, options);
  const undoFile = steps.find((step) => step.do === 'exchange')?.keep ?? null;
  const receipt = lastReceipt(join(forge.paths.data, file));
  const was = prepared.present.is;
  const restore = { id, repository: row.id, kind, at: at.getTime(), undoFile, receipt, was };
  beginRestore(forge.store, restore);
  let failure: { error: unknown } | undefined;
  try {
    await applyRepositorySteps(steps, forge);
  } catch (error) {
    failure = { error };
  }
  const done = concludeRestore(forge, restore, row, { killed: false });
  if (failure && !done) throw failure.error;
  addEvent(forge.store, {
    kind: kind === 'undo' ? 'undone' : 'restored',
    text:
      kind === 'undo'
        ? `the last restore of ${row.name} was taken back`
        : `${row.name} is as it was at ${showInstant(at)}`,
    repository: row.id,
  });
  return failure && `${messageOf(failure.error)} What is missing is done by itself: see fossilrepo status.`;
}

function refuseChanged(before: Repository, now: Repository | undefined): void {
  if (now?.file === before.file && now.state === before.state) return;
  throw new OperatorError(`${before.name} was renamed, deleted or purged meanwhile.`, {
    next: 'Run the command again.',
    exit: 'busy',
  });
}

/** What was agreed to is no longer so when the file is gone, or somebody put one there; one that was whole is read again anyway. */
function refuseOther(forge: Pick<Forge, 'paths'>, { row, file, present }: PreparedRestore): void {
  const live = join(forge.paths.data, row.file);
  const is =
    present.is === 'whole'
      ? existsSync(live)
      : readPresent(live, join(forge.paths.data, file)).is === present.is;
  if (is) return;
  throw new OperatorError(`The file of ${row.name} is another one than before.`, {
    next: 'Run the command again.',
    exit: 'busy',
  });
}

/**
 * Writes down what became of a restore, and clears away what it does not need any more: the file itself says by which one it came.
 * @param row undefined when the repository was purged
 * @param end.killed whether its command was; else that says itself what came of it, and notes then that it has told
 * @returns whether it took place
 * @throws OperatorError when the file stays locked, or may not be read
 */
export function concludeRestore(
  forge: Pick<Forge, 'paths' | 'store'>,
  restore: Pick<Restore, 'id' | 'undoFile'>,
  row: Repository | undefined,
  { killed }: { killed: boolean },
): boolean {
  const live = row && join(forge.paths.data, row.file);
  const done = live !== undefined && existsSync(live) && cameBy(live) === restore.id;
  // First: killed in between, it is done again.
  if (!done) giveBack(forge, restore, live);
  endRestore(forge.store, restore.id, { outcome: done ? 'done' : 'not done', interrupted: killed || done });
  return done;
}

import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { differenceOf } from '../../repos/contents/difference.ts';
import { lastReceipt, receivedAfter } from '../../repos/contents/receipts.ts';
import { summaryOf } from '../../repos/contents/summary.ts';
import { drainDatabase } from '../../repos/drain.ts';
import { removeDatabase } from '../../repos/make.ts';
import { checkIdentity, checkState } from '../../repos/restore/prepare.ts';
import { scratch } from '../../repos/scratch.ts';
import { findRepositoryById, type Repository } from '../../store/repositories.ts';
import { checkClone } from './clone.ts';
import { unexplained } from './explain.ts';
import { fetchNow, type Measured } from './fetch.ts';

/** How often a new moment is taken while something else than a push changes the repository. */
const tries = 4;

/**
 * The state, its clone, and what SQLite needs besides to write that without holes: its copy and its journal. One more, since others
 * write to the disk meanwhile.
 */
const copies = 5;

/**
 * Restores a repository as it is now from the replica into a temporary place, and compares it with the live one: the id, every hash, all
 * that it holds, and whether it can be cloned. Nothing in service is touched, and no lock is needed.
 * @param measured filled as it goes on
 * @throws OperatorError: check when the replica doesn't hold what it should; anything else when that could not be found out. ControlError
 */
export async function verifyRepositoryReplica(forge: Forge, id: string, measured: Measured): Promise<void> {
  using folder = scratch(forge.paths, 'verify');
  const state = join(folder.path, 'state.fossil');
  for (let attempt = 1; ; attempt++) {
    const row = inService(forge, id);
    const live = join(forge.paths.data, row.file);
    await fetchNow(forge, { id, part: `repos/${id}`, file: live }, state, copies, measured);
    const started = performance.now();
    const differs = compare(live, row, state);
    measured.checkMs = performance.now() - started;
    if (differs.length === 0) break;
    if (attempt === tries)
      throw new OperatorError(
        `${row.name} in the replica is not what is in service: ${differs.join('; ')}.`,
        { next: `Check the live one: fossilrepo repo verify ${row.name}`, exit: 'check' },
      );
    removeDatabase(state);
  }
  const row = inService(forge, id);
  const started = performance.now();
  const before = measured.checkMs;
  const { artifacts, unversioned } = await checkState(forge, row, state);
  await drainDatabase(state);
  await checkClone(forge, row.name, state, folder.path);
  Object.assign(measured, { artifacts, unversioned, counts: summaryOf(state) });
  measured.checkMs = before + performance.now() - started;
}

/** @returns what differs and was not received since; empty when all is the same */
function compare(live: string, row: Repository, state: string): string[] {
  checkIdentity(row, state);
  const difference = differenceOf(live, state);
  return difference.same ? [] : unexplained(difference, receivedAfter(live, lastReceipt(state)));
}

function inService(forge: Pick<Forge, 'store'>, id: string): Repository {
  const row = findRepositoryById(forge.store, id);
  if (row?.state === 'active') return row;
  throw new OperatorError(`${row?.name ?? id} was deleted meanwhile.`, { exit: 'busy' });
}

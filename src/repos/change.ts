import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { applyRepositorySteps } from '../apply/repository.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { placeOf, planPurge, planSettling, type RepositoryStep } from '../plan/repository.ts';
import { addEvent } from '../store/events.ts';
import {
  findRepository,
  findRepositoryById,
  listTrashed,
  removeRepository,
  type Repository,
} from '../store/repositories.ts';
import { setIdentity } from './file.ts';

/** What the row of a repository shall be, and the steps to it. */
export type RepositoryChange = {
  row: Repository;
  changes: Partial<Omit<Repository, 'id'>>;
  steps: RepositoryStep[];
};

/** Plans a change of a repository's row and what follows from it for its file. */
export function planChange(
  forge: Pick<Forge, 'paths'>,
  row: Repository,
  changes: RepositoryChange['changes'],
): RepositoryChange {
  const after = { ...row, ...changes };
  const settling = planSettling(after, look(forge, after));
  const accessChanged = after.visibility !== row.visibility || after.archived !== row.archived;
  const project: RepositoryStep[] = accessChanged ? [{ do: 'project', id: row.id, file: row.file }] : [];
  const record: RepositoryStep[] =
    Object.keys(changes).length > 0 ? [{ do: 'record', id: row.id, changes }] : [];
  return { row, changes, steps: [...record, ...project, ...settling] };
}

/** Where the file is: at its recorded place, at the wanted one, or nowhere. */
export function look({ paths }: Pick<Forge, 'paths'>, row: Repository) {
  return {
    atFile: existsSync(join(paths.data, row.file)),
    atPlace: existsSync(join(paths.data, placeOf(row))),
  };
}

/** Does a planned change. The caller holds the `changes` lock. Killed, it is gone on with by `settle`. */
export async function applyChange(
  forge: Forge,
  { row, steps, changes }: RepositoryChange,
): Promise<Repository> {
  await applyRepositorySteps(steps, forge);
  const after = findRepositoryById(forge.store, row.id);
  if (!after) throw new OperatorError(`The repository ${row.name} is gone.`);
  if (changes.description !== undefined || changes.name !== undefined)
    setIdentity(join(forge.paths.data, after.file), {
      id: after.id,
      name: after.name,
      description: after.description,
    });
  return after;
}

/** Goes on with what a killed command began: brings the file to where the row says. @returns whether there was anything to do */
export async function settle(forge: Forge, row: Repository): Promise<boolean> {
  const steps = planSettling(row, look(forge, row));
  if (steps.length === 0) return false;
  await applyRepositorySteps(steps, forge);
  return true;
}

/** @throws OperatorError when nothing in the trash is called so, or several are */
export function getTrashed(forge: Pick<Forge, 'store'>, nameOrId: string): Repository {
  const byId = findRepositoryById(forge.store, nameOrId);
  if (byId?.state === 'trashed') return byId;
  const found = listTrashed(forge.store, nameOrId);
  const [only] = found;
  if (only === undefined)
    throw new OperatorError(`There is no ${nameOrId} in the trash.`, {
      next: 'fossilrepo repo list --trash shows what is.',
      exit: 'usage',
    });
  if (found.length > 1)
    throw new OperatorError(
      `${found.length} deleted repositories were called ${nameOrId}: ${found.map(({ id }) => id).join(', ')}.`,
      {
        next: 'Name the one by its id; fossilrepo repo list --trash shows when each was deleted.',
        exit: 'usage',
      },
    );
  return only;
}

/** Destroys a repository of the trash, its history in the replica too. The row goes last, so that a killed purge can be run again. */
export async function purge(forge: Forge, row: Repository): Promise<void> {
  await applyRepositorySteps(planPurge(row), forge);
  removeRepository(forge.store, row.id);
}

/** Destroys what has been in the trash for longer than the operator wants it kept. */
export async function purgeExpired(forge: Forge): Promise<void> {
  const kept = Date.now() - forge.config.repositories.trash;
  for (const row of listTrashed(forge.store).filter(({ deletedAt }) => (deletedAt ?? Date.now()) < kept)) {
    await purge(forge, row);
    addEvent(forge.store, {
      kind: 'purged',
      text: `${row.name} had been in the trash for long enough, and is gone`,
    });
  }
}

/** @throws OperatorError when another repository has the name now */
export function nameIsFree(forge: Pick<Forge, 'store' | 'paths'>, name: string): void {
  const holder = findRepository(forge.store, name);
  const file = join(forge.paths.repos, `${name}.fossil`);
  if (holder || existsSync(file))
    throw new OperatorError(
      `There is already a repository ${name}${holder ? '' : ` (a file of ${statSync(file).size} bytes that is being adopted)`}.`,
      {
        next: 'Choose another name.',
        exit: 'usage',
      },
    );
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { accessTo } from '../access/members.ts';
import { accessIsRight } from '../access/project.ts';
import { applyRepositorySteps } from '../apply/repository.ts';
import { forgetHighWater } from '../backup/high-water.ts';
import { replicateNow } from '../backup/replicate.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import {
  placeOf,
  planChange,
  planPurge,
  planSettling,
  type RepositoryFound,
  type RepositoryStep,
} from '../plan/repository.ts';
import { addEvent } from '../store/events.ts';
import { forgetVerifications } from '../store/verifications.ts';
import { forgetIdents } from '../store/idents.ts';
import { dropCache } from '../mirror/export/place.ts';
import { dropUpstreamFolder } from '../mirror/upstream/place.ts';
import { dropUndosOf } from './restore/kept.ts';
import {
  findRepositoryById,
  listTrashed,
  removeRepository,
  type Repository,
  updateRepository,
} from '../store/repositories.ts';

/** What the row of a repository shall be, and the steps to it. */
export type RepositoryChange = {
  row: Repository;
  changes: Partial<Omit<Repository, 'id'>>;
  steps: RepositoryStep[];
};

/** Plans a change of a repository's row and what follows from it for its file. */
export function changeOf(
  forge: Pick<Forge, 'paths' | 'store' | 'secrets'>,
  row: Repository,
  wanted: RepositoryChange['changes'],
): RepositoryChange {
  const changes = differing(row, wanted);
  const after = { ...row, ...changes };
  const file = join(forge.paths.data, row.file);
  const found: RepositoryFound = {
    ...look(forge, after),
    accessIsRight: existsSync(file) && accessIsRight(file, accessTo(forge, after)),
  };
  return { row, changes, steps: planChange(row, changes, found) };
}

/** Where the file is: at its recorded place, at the wanted one, or nowhere. */
const look = ({ paths }: Pick<Forge, 'paths'>, row: Repository) => ({
  atFile: existsSync(join(paths.data, row.file)),
  atPlace: existsSync(join(paths.data, placeOf(row))),
});

/** Only what is not so already. */
function differing<T extends RepositoryChange['changes']>(row: Repository, wanted: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => row[key as keyof Repository] !== value),
  ) as Partial<T>;
}

/**
 * Does a planned change. The caller holds the `changes` lock. Killed, it is gone on with by `settle`; when it fails before the file
 * was moved, all stays as it was.
 */
export async function applyChange(
  forge: Forge,
  { row, steps, changes }: RepositoryChange,
): Promise<Repository> {
  try {
    await applyRepositorySteps(steps, forge);
  } catch (error) {
    if (steps.some((step) => step.do === 'move')) await stay(forge, row, changes);
    throw error;
  }
  const after = findRepositoryById(forge.store, row.id);
  if (!after) throw new OperatorError(`The repository ${row.name} is gone.`);
  return after;
}

/** Takes a change back whose file has not been moved yet. */
async function stay(forge: Forge, row: Repository, changes: RepositoryChange['changes']): Promise<void> {
  const now = findRepositoryById(forge.store, row.id);
  if (now?.file !== row.file || !existsSync(join(forge.paths.data, row.file))) return;
  const former = Object.keys(changes).map((key) => [key, row[key as keyof Repository]]);
  updateRepository(forge.store, row.id, Object.fromEntries(former) as RepositoryChange['changes']);
  // When Litestream is what failed, the loop goes on with it.
  if (row.state === 'active') await replicateNow(forge, row).catch(() => undefined);
}

/** Goes on with what a killed command began: brings the file to where the row says. @returns whether there was anything to do */
export async function settle(forge: Forge, row: Repository): Promise<boolean> {
  const steps = settlingOf(forge, row);
  if (steps.length === 0) return false;
  await applyRepositorySteps(steps, forge);
  return true;
}

/** What `settle` would do. */
export const settlingOf = (forge: Forge, row: Repository) => planSettling(row, look(forge, row));

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
  forgetHighWater(forge.store, row.id);
  dropUndosOf(forge, row.id);
  forgetVerifications(forge.store, row.id);
  forgetIdents(forge.store, row.id);
  dropCache(forge.paths, row.id);
  dropUpstreamFolder(forge.paths, row.id);
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

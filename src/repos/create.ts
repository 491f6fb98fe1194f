import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { applyRepositorySteps } from '../apply/repository.ts';
import { refuseWhileFenced } from '../backup/fence.ts';
import { repositoryFile } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import {
  type CreationPlan,
  makingPlace,
  planCreation,
  planTakingBack,
  type Source,
} from '../plan/repository.ts';
import {
  findRepository,
  findRepositoryById,
  getRepository,
  insertRepository,
  removeRepository,
  type Repository,
  type Visibility,
} from '../store/repositories.ts';
import { transaction } from '../store/store.ts';
import { readRepository, repositoryId } from './file.ts';
import { removeDatabase } from './make.ts';
import { sweepScratch } from './scratch.ts';

export type NewRepositoryWish = {
  name: string;
  visibility: Visibility;
  /** Undefined: what the source says, or nothing. */
  description: string | undefined;
  /** From `openSource`. */
  from: Source | undefined;
  hidden?: boolean;
  /** Writes down what has to be known of it from its first moment, in one transaction with its row. */
  note?: (id: string) => void;
};

export type PlannedCreation = CreationPlan & { id: string; wish: NewRepositoryWish };

/** The steps to a new repository. @param id of it, when it has one already @throws OperatorError (usage) when the name is taken */
export function planNew(
  forge: Pick<Forge, 'store' | 'paths'>,
  wish: NewRepositoryWish,
  id: string = randomUUID(),
): PlannedCreation {
  const row = findRepository(forge.store, wish.name);
  // One that a killed command left is taken back.
  if (row?.state !== 'creating') nameIsFree(forge, wish.name);
  return { id, wish, ...planCreation({ id, name: wish.name, description: wish.description }, wish.from) };
}

/**
 * Makes the file of a new repository where nobody sees it. Needs no lock, since it may take long.
 * @returns what was changed in a file from outside, in words
 * @throws OperatorError also while nothing may be written to the replica: it could not be replicated
 */
export async function makeAside(forge: Forge, planned: PlannedCreation): Promise<string[]> {
  refuseWhileFenced(forge);
  sweepScratch(forge.paths);
  try {
    return (await applyRepositorySteps([planned.aside], forge)).sanitised;
  } catch (error) {
    removeDatabase(join(forge.paths.data, makingPlace(planned.id)));
    throw error;
  }
}

/**
 * Puts what was made aside into service and looks at it from outside. When that fails, or is killed, all is taken back: nobody
 * was told of it. The caller holds the `changes` lock.
 */
export async function serveNew(forge: Forge, planned: PlannedCreation): Promise<Repository> {
  const { id, wish, service } = planned;
  const { name, visibility, hidden = false } = wish;
  const aside = join(forge.paths.data, makingPlace(id));
  const before = findRepository(forge.store, name);
  if (before?.state === 'creating') await endCreation(forge, before);
  try {
    nameIsFree(forge, name);
    const { description } = readRepository(aside);
    transaction(forge.store, () => {
      insertRepository(forge.store, { id, name, visibility, description, hidden, file: makingPlace(id) });
      wish.note?.(id);
    });
    await applyRepositorySteps(service, forge);
  } catch (error) {
    const row = findRepositoryById(forge.store, id);
    // What can't be taken back now (the replica is away), the loop takes back later.
    if (row) await endCreation(forge, row).catch(() => undefined);
    else removeDatabase(aside);
    throw error;
  }
  return getRepository(forge.store, name);
}

/** Both halves of a creation. The caller holds the `changes` lock. */
export async function createRepository(forge: Forge, wish: NewRepositoryWish): Promise<Repository> {
  const planned = planNew(forge, wish);
  await makeAside(forge, planned);
  return serveNew(forge, planned);
}

/** Takes back a creation that was killed or failed. The caller holds the `changes` lock. */
export async function endCreation(forge: Forge, row: Repository): Promise<void> {
  await applyRepositorySteps(planTakingBack(row, { live: isLive(forge, row) }), forge);
  removeRepository(forge.store, row.id);
}

/** A file that somebody put there meanwhile is another one. */
function isLive({ paths }: Pick<Forge, 'paths'>, { id, name }: Repository): boolean {
  const file = repositoryFile(paths, name);
  try {
    return existsSync(file) && repositoryId(file) === id;
  } catch (error) {
    if (error instanceof OperatorError) return false;
    throw error;
  }
}

/** @throws OperatorError when another repository has the name now, or a file has that is not adopted yet */
export function nameIsFree(forge: Pick<Forge, 'store' | 'paths'>, name: string): void {
  const row = findRepository(forge.store, name);
  if (!row && !existsSync(repositoryFile(forge.paths, name))) return;
  throw new OperatorError(
    row
      ? `There is already a repository ${name}.`
      : `There is already a file ${repositoryFile(forge.paths, name)}, which is being adopted.`,
    { next: 'Choose another name.', exit: 'usage' },
  );
}

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { applyRepositorySteps } from '../apply/repository.ts';
import { repositoryFile } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { checkRepository } from '../health/outside.ts';
import { makingPlace, planCreation, planService, type RepositoryStep } from '../plan/repository.ts';
import {
  findRepository,
  getRepository,
  insertRepository,
  removeRepository,
  type Repository,
  type Visibility,
} from '../store/repositories.ts';
import { repositoryId } from './file.ts';
import { removeDatabase } from './make.ts';

export type NewRepositoryWish = {
  name: string;
  visibility: Visibility;
  /** Undefined: what the source says, or nothing. */
  description: string | undefined;
  /** A staged file or an address, from `openSource`. */
  from: string | undefined;
  hidden?: boolean;
};

/** The steps to a new repository. @throws OperatorError (usage) when the name is taken */
export function planNew(forge: Forge, wish: NewRepositoryWish): { id: string; steps: RepositoryStep[] } {
  const row = findRepository(forge.store, wish.name);
  if (row && row.state !== 'creating')
    throw new OperatorError(`There is already a repository ${wish.name}.`, {
      next: 'Choose another name.',
      exit: 'usage',
    });
  const id = randomUUID();
  return { id, steps: planCreation({ id, name: wish.name, description: wish.description ?? '' }, wish.from) };
}

/**
 * Makes a repository and looks at it from outside. The caller holds the `changes` lock. What a killed creation of the same name
 * left is cleared away first.
 * @returns the repository, and what was changed in a file from outside, in words
 */
export async function createRepository(
  forge: Forge,
  wish: NewRepositoryWish,
): Promise<{ repository: Repository; sanitised: string[] }> {
  const { name } = wish;
  const before = findRepository(forge.store, name);
  if (before?.state === 'creating') await endCreation(forge, before);
  const { id, steps } = planNew(forge, wish);
  if (existsSync(repositoryFile(forge.paths, name)))
    throw new OperatorError(`There is already a file ${repositoryFile(forge.paths, name)}.`, {
      next: 'It is adopted within seconds; see fossilrepo repo list.',
      exit: 'usage',
    });
  const { visibility, description = '', hidden = false } = wish;
  const row = insertRepository(forge.store, {
    id,
    name,
    visibility,
    description,
    hidden,
    file: makingPlace(id),
  });
  try {
    const { sanitised } = await applyRepositorySteps(steps, forge);
    const repository = getRepository(forge.store, name);
    await checkRepository(forge, repository);
    return { repository, sanitised };
  } catch (error) {
    if (findRepository(forge.store, name)?.state === 'creating') await endCreation(forge, row);
    throw error;
  }
}

/**
 * Ends a creation that was killed: one whose file had been moved in is finished, any other is taken back; nobody has seen it.
 * The caller holds the `changes` lock.
 */
export async function endCreation(forge: Forge, row: Repository): Promise<void> {
  const live = repositoryFile(forge.paths, row.name);
  // A file that somebody put there meanwhile is another one.
  if (existsSync(live) && repositoryId(live) === row.id) await applyRepositorySteps(planService(row), forge);
  else forgetCreation(forge, row);
}

function forgetCreation(forge: Pick<Forge, 'paths' | 'store'>, row: Pick<Repository, 'id'>): void {
  removeDatabase(join(forge.paths.data, makingPlace(row.id)));
  removeRepository(forge.store, row.id);
}

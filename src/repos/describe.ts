import { join } from 'node:path';
import { administratorLogin } from '../access/administrator.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { addressingOf } from '../health/outside.ts';
import type { Repository } from '../store/repositories.ts';
import { readRepository, repositoryBytes } from './file.ts';
import { type Addressing, cloneCommand, repositoryUrl } from './urls.ts';
import { isoOrNull } from '../system/instant.ts';

/** A repository as `repo show --json` and the UI tell it. */
export type DescribedRepository = {
  name: string;
  id: string;
  url: string;
  /** Nobody's name in it. */
  cloneUrl: string;
  /** Works as it is when pasted. */
  cloneCommand: string;
  visibility: Repository['visibility'];
  description: string;
  archived: boolean;
  path: string;
  checkins: number;
  bytes: number;
  /** ISO 8601, or null for one without events. */
  lastActivity: string | null;
};

/** @throws OperatorError when the file can't be read */
export async function describeRepository(
  forge: Pick<Forge, 'config' | 'paths'>,
  repository: Repository,
): Promise<DescribedRepository> {
  return describeWith(forge, repository, await addressingOf(forge.config));
}

/** One that may be unreadable: then `problem` says why, and what its file would say is null. */
export type ListedRepository = Omit<DescribedRepository, 'checkins'> & {
  checkins: number | null;
  problem: string | null;
};

/** As `describeWith`, but a file that can't be read doesn't hide the repository, nor all the others. */
export function listWith(
  forge: Pick<Forge, 'config' | 'paths'>,
  repository: Repository,
  addressing: Addressing,
): ListedRepository {
  try {
    return { ...describeWith(forge, repository, addressing), problem: null };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const bytes = repositoryBytes(join(forge.paths.data, repository.file));
    const facts = { checkins: null, bytes, lastActivity: null };
    return { ...aboutRow(forge, repository, addressing), ...facts, problem: error.message };
  }
}

/** The same as `describeRepository` for many, which share the question how they are addressed. */
export function describeWith(
  { config, paths }: Pick<Forge, 'config' | 'paths'>,
  repository: Repository,
  addressing: Addressing,
): DescribedRepository {
  const { checkins, bytes, lastActivity } = readRepository(join(paths.data, repository.file));
  return {
    ...aboutRow({ config, paths }, repository, addressing),
    checkins,
    bytes,
    lastActivity: isoOrNull(lastActivity),
  };
}

/** What needs no look into the file. */
function aboutRow(
  { config, paths }: Pick<Forge, 'config' | 'paths'>,
  { name, id, visibility, description, archived, file }: Repository,
  addressing: Addressing,
) {
  const url = repositoryUrl(config, name, addressing);
  return {
    name,
    id,
    url,
    cloneUrl: url,
    cloneCommand: cloneCommand(url, name, visibility === 'public' ? undefined : administratorLogin),
    visibility,
    description,
    archived,
    path: join(paths.data, file),
  };
}

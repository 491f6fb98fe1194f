import { join } from 'node:path';
import { administratorLogin } from '../access/administrator.ts';
import type { Forge } from '../forge.ts';
import { addressingOf } from '../health/outside.ts';
import type { Repository } from '../store/repositories.ts';
import { readRepository } from './file.ts';
import { type Addressing, cloneCommand, repositoryUrl } from './urls.ts';

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

/** The same for many, which share the question how they are addressed. */
export function describeWith(
  { config, paths }: Pick<Forge, 'config' | 'paths'>,
  repository: Repository,
  addressing: Addressing,
): DescribedRepository {
  const { name, id, visibility, description, archived } = repository;
  const path = join(paths.data, repository.file);
  const { checkins, bytes, lastActivity } = readRepository(path);
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
    path,
    checkins,
    bytes,
    lastActivity: lastActivity === null ? null : new Date(lastActivity).toISOString(),
  };
}

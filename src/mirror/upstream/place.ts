import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../../config/paths.ts';

/** Where what a repository's upstream has is kept between two looks. It may be deleted, and is fetched again. */
export const upstreamFolder = (paths: Pick<Paths, 'upstreams'>, repository: string): string =>
  join(paths.upstreams, repository);

/** The bare Git repository in it. */
export const upstreamGit = (paths: Pick<Paths, 'upstreams'>, repository: string): string =>
  join(upstreamFolder(paths, repository), 'git');

/** The clone of a Fossil upstream in it. */
export const upstreamClone = (paths: Pick<Paths, 'upstreams'>, repository: string): string =>
  join(upstreamFolder(paths, repository), 'clone.fossil');

export const makeUpstreamFolder = (paths: Pick<Paths, 'upstreams'>, repository: string): string => {
  const folder = upstreamFolder(paths, repository);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
};

export const dropUpstreamFolder = (paths: Pick<Paths, 'upstreams'>, repository: string): void =>
  rmSync(upstreamFolder(paths, repository), { recursive: true, force: true });

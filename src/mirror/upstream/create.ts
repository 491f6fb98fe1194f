import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import { alone, type Forge } from '../../forge.ts';
import { makeAside, planNew, serveNew } from '../../repos/create.ts';
import { removeDatabase } from '../../repos/make.ts';
import { secret } from '../../secrets/secret.ts';
import { recordImport } from '../../store/git-imports.ts';
import { findRepositoryById, type Repository, type Visibility } from '../../store/repositories.ts';
import { setUpstream, type Upstream } from '../../store/upstreams.ts';
import { RemoteError } from '../remote/error.ts';
import { listRemote, type Remote, withRemote } from '../remote/remote.ts';
import type { PullOptions } from './came.ts';
import { fetchRefs, mainBranch } from './fetch.ts';
import { importGit } from './import-git.ts';
import { dropUpstreamFolder, makeUpstreamFolder, upstreamGit } from './place.ts';
import type { History } from './write-history.ts';

/** A repository that is to be made from a Git remote. */
export type GitCreation = {
  name: string;
  visibility: Visibility;
  description: string | undefined;
  /** Where it comes from, for people. */
  shown: string;
  remote: Remote;
  /** What it follows from then on; it belongs to no repository yet. */
  follow: Omit<Upstream, 'repository'> | undefined;
};

/**
 * Makes a repository from a Git remote. What was imported is known from its first moment, so that nothing is ever imported twice. Killed
 * before it is in service, nothing of it is left.
 * @throws OperatorError
 */
export async function createFromGit(
  forge: Forge,
  { shown, remote, follow, ...wish }: GitCreation,
  { signal, progress }: PullOptions = {},
): Promise<{ repository: Repository; history: History }> {
  const { paths, store } = forge;
  sweepUpstreams(forge);
  const file = join(paths.tmp, `from-${randomUUID()}.fossil`);
  const from = { shown, address: secret(file) };
  const at = Date.now();
  const { id } = planNew(forge, { ...wish, from });
  try {
    makeUpstreamFolder(paths, id);
    const folder = upstreamGit(paths, id);
    const { refs, main } = await withRemote(
      forge,
      remote,
      async (git) => {
        const fetched = await fetchRefs(git, folder);
        return { refs: fetched, main: await mainBranch(git, fetched) };
      },
      { signal },
    );
    const history = await importGit(
      forge,
      { file, projectCode: undefined },
      { folder, refs, main, at, marks: new Map(), last: new Map(), hosted: undefined, signal, progress },
    );
    const note = () => {
      recordImport(store, id, { main, marks: history.marks, refs });
      if (follow) setUpstream(store, { ...follow, repository: id, triedAt: at, okAt: at });
    };
    const planned = { ...planNew(forge, { ...wish, from }, id), wish: { ...wish, from, note } };
    await makeAside(forge, planned);
    const repository = await alone(forge, () => serveNew(forge, planned));
    if (!follow) dropUpstreamFolder(paths, id);
    return { repository, history };
  } catch (error) {
    dropUpstreamFolder(paths, id);
    throw error;
  } finally {
    removeDatabase(file);
  }
}

/** Whether Git answers at an address; who is refused there has asked Git, as Fossil lets everybody see that it is one. */
export async function isGit(forge: Forge, remote: Remote): Promise<boolean> {
  try {
    await withRemote(forge, remote, listRemote, { limits: { ask: 30_000 } });
    return true;
  } catch (error) {
    if (error instanceof RemoteError && error.kind === 'credential') return true;
    if (error instanceof OperatorError) return false;
    throw error;
  }
}

/** A creation takes no longer. Milliseconds. */
const oldest = 2 * 24 * 3_600_000;

/** Removes what killed creations left. */
function sweepUpstreams({ paths, store }: Pick<Forge, 'paths' | 'store'>): void {
  const entry = lstatSync(paths.upstreams, { throwIfNoEntry: false });
  for (const id of entry?.isDirectory() ? readdirSync(paths.upstreams) : []) {
    const folder = join(paths.upstreams, id);
    if (findRepositoryById(store, id)) continue;
    if (Date.now() - lstatSync(folder).mtimeMs > oldest) rmSync(folder, { recursive: true, force: true });
  }
}

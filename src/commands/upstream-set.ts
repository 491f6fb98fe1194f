import { pathsUnder } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { describeCame } from '../mirror/upstream/came.ts';
import { describeUpstream } from '../mirror/upstream/describe.ts';
import { dropUpstreamFolder } from '../mirror/upstream/place.ts';
import { pullUpstream } from '../mirror/upstream/pull.ts';
import { sourceForm } from '../mirror/upstream/source.ts';
import type { GlobalOptions } from '../server.ts';
import { addEvent } from '../store/events.ts';
import { findGitImport } from '../store/git-imports.ts';
import { getRepository, type Repository } from '../store/repositories.ts';
import { transaction } from '../store/store.ts';
import { findUpstream, getUpstream, removeUpstream, setUpstream, type Upstream } from '../store/upstreams.ts';
import { withLock } from '../system/locks.ts';
import { agreed } from './questions.ts';
import { type AccessFlags, reach, readGiven } from './upstream-access.ts';

/** How long a pull that is at work is waited for. Milliseconds. */
const patience = 60_000;

/** `fossilrepo upstream set REPO URL`: tried at once, and kept only when something could be taken, or nothing was new. */
export async function upstreamSet(
  options: GlobalOptions,
  repository: string,
  url: string,
  flags: AccessFlags & { dryRun: boolean },
): Promise<void> {
  pathsUnder(options.root);
  const given = readGiven(flags);
  const form = sourceForm(url);
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    if (row.hidden || row.state !== 'active')
      throw new OperatorError(`${repository} is not in service.`, { exit: 'usage' });
    const { upstream } = await reach(forge, url, form === 'path' ? 'git' : form, given, flags);
    const set = { ...upstream, repository: row.id };
    refuseUnknownGit(forge, row, set);
    if (flags.dryRun) {
      forge.out.result({ upstream: describeUpstream(row, set) }, 'nothing was changed');
      return;
    }
    const former = findUpstream(forge.store, row.id);
    await withLock(forge.paths, `pull-${row.id}`, patience, () => {
      setUpstream(forge.store, set);
      return Promise.resolve();
    });
    await tryIt(forge, row, former);
  });
}

async function tryIt(forge: Forge, row: Repository, former: Upstream | undefined): Promise<void> {
  const { store, out } = forge;
  const { ok, came, error, next, url } = await pullUpstream(forge, row);
  if (!ok) {
    takeBack(forge, row, former);
    throw new OperatorError(error ?? 'Nothing could be taken.', { ...(next !== null && { next }) });
  }
  addEvent(store, { kind: 'upstream', repository: row.id, text: `${row.name} follows ${url}` });
  out.result(
    { upstream: describeUpstream(row, getUpstream(store, row.id, row.name)), came },
    `${row.name} follows ${url}: ${describeCame(came) || 'nothing new'}`,
  );
}

function takeBack({ store, paths }: Forge, row: Repository, former: Upstream | undefined): void {
  transaction(store, () => {
    const set = findUpstream(store, row.id);
    if (set) removeUpstream(store, set.id);
    if (former) setUpstream(store, former);
  });
  if (!former) dropUpstreamFolder(paths, row.id);
}

/** A history that was not imported from there would come a second time, as another one. */
function refuseUnknownGit({ store }: Forge, row: Repository, { kind, url }: Upstream): void {
  if (kind !== 'git' || findGitImport(store, row.id)) return;
  throw new OperatorError(
    `${row.name} was not imported from Git here, so it is not known which of its check-ins are in ${url}.`,
    { next: `Make a repository from it: fossilrepo repo create NAME --from ${url}`, exit: 'usage' },
  );
}

/** `fossilrepo upstream remove REPO`: what came stays, and what is known of it, so that it can be followed again. */
export async function upstreamRemove(
  options: GlobalOptions,
  repository: string,
  flags: { yes: boolean; dryRun: boolean },
): Promise<void> {
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    const upstream = getUpstream(forge.store, row.id, row.name);
    const text = `${row.name} no longer follows ${upstream.url}`;
    if (!flags.dryRun) {
      if (!flags.yes) await agreed(`Have ${row.name} follow ${upstream.url} no more?`, false);
      await withLock(forge.paths, `pull-${row.id}`, patience, () => {
        removeUpstream(forge.store, upstream.id);
        dropUpstreamFolder(forge.paths, row.id);
        return Promise.resolve();
      });
      addEvent(forge.store, { kind: 'upstream', repository: row.id, text });
    }
    forge.out.result(
      { repository: row.name, url: upstream.url },
      flags.dryRun ? 'nothing was changed' : text,
    );
  });
}

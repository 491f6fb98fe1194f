import { isFenced } from '../backup/fence.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { lookAtMirrored } from '../mirror/look.ts';
import { takeSyncRequest } from '../mirror/request.ts';
import type { SyncJob } from '../mirror/sync.ts';
import { dueMirrors, unfinishedMirrors } from '../plan/sync.ts';
import { dueUpstreams } from '../plan/upstream.ts';
import { mirrorsWithFailingParts } from '../store/mirror-parts.ts';
import { mirrorsOf, servedMirrors } from '../store/mirrors.ts';
import { getRepository } from '../store/repositories.ts';
import { findUpstream, servedUpstreams, type Upstream } from '../store/upstreams.ts';

/** What one `sync` has to do. */
export type SyncWork = {
  /** Which upstreams are asked, before anything is pushed: what comes goes on to the mirrors. */
  upstreams: readonly Upstream[];
  /** Which mirrors there are to bring up to date; looked for anew at each call. */
  mirrors: () => SyncJob[];
};

/**
 * With names: theirs, whatever is known of them. Without: every upstream, and the mirrors that differ or failed. `due`: what it is time for,
 * and nothing while the replica is another server's.
 * @throws OperatorError (usage) when a repository that is named has neither
 */
export function workOf(forge: Forge, names: readonly string[], { due }: { due: boolean }): SyncWork {
  const { store } = forge;
  if (names.length > 0) return named(forge, names);
  const all = due && isFenced(store) ? [] : servedUpstreams(store);
  return {
    upstreams: due ? dueUpstreams(all, Date.now()) : all,
    mirrors: () => (due ? dueJobs(forge) : unfinishedJobs(forge)),
  };
}

function named({ store }: Forge, names: readonly string[]): SyncWork {
  const found = [...new Set(names)].map((name) => {
    const { id } = getRepository(store, name);
    const mirrors = mirrorsOf(store, id).map((mirror) => ({ mirror, why: 'asked' as const }));
    const upstream = findUpstream(store, id);
    if (mirrors.length === 0 && !upstream)
      throw new OperatorError(`${name} has no mirror and follows nothing.`, {
        next: `fossilrepo mirror add ${name} URL makes a mirror, fossilrepo upstream set ${name} URL lets it follow one.`,
        exit: 'usage',
      });
    return { mirrors, upstreams: upstream ? [upstream] : [] };
  });
  const jobs = found.flatMap(({ mirrors }) => mirrors);
  return { upstreams: found.flatMap(({ upstreams }) => upstreams), mirrors: () => jobs };
}

function dueJobs(forge: Forge): SyncJob[] {
  takeSyncRequest(forge.paths);
  if (isFenced(forge.store)) return [];
  const now = Date.now();
  return dueMirrors(servedMirrors(forge.store), lookAtMirrored(forge, new Map(), now), now);
}

function unfinishedJobs(forge: Forge): SyncJob[] {
  const now = Date.now();
  const mirrors = servedMirrors(forge.store);
  const found: SyncJob[] = unfinishedMirrors(mirrors, lookAtMirrored(forge, new Map(), now), now);
  const known = new Set(found.map(({ mirror }) => mirror.id));
  const failing = mirrorsWithFailingParts(forge.store);
  const others = mirrors.filter(({ id }) => failing.has(id) && !known.has(id));
  return [...found, ...others.map((mirror) => ({ mirror, why: 'asked' as const }))];
}

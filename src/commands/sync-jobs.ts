import { isFenced } from '../backup/fence.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { lookAtMirrored } from '../mirror/look.ts';
import { partTimes } from '../mirror/part-times.ts';
import { takeSyncRequest } from '../mirror/request.ts';
import type { SyncJob } from '../mirror/sync.ts';
import type { SyncWork } from '../mirror/sync-all.ts';
import { dueMirrors, unfinishedMirrors } from '../plan/sync.ts';
import { dueUpstreams } from '../plan/upstream.ts';
import { wantedParts } from '../store/mirror-parts.ts';
import { mirrorsOf, servedMirrors } from '../store/mirrors.ts';
import { getRepository } from '../store/repositories.ts';
import { findUpstream, servedUpstreams, type Upstream } from '../store/upstreams.ts';

/**
 * With names: theirs, whatever is known of them. Without: every upstream, and the mirrors that differ or failed. `due`: what it is time for,
 * and nothing while the replica is another server's.
 * @throws OperatorError (usage) when a repository that is named has neither
 */
export function workOf(
  forge: Forge,
  names: readonly string[],
  { due, dryRun }: { due: boolean; dryRun: boolean },
): SyncWork {
  const { store } = forge;
  if (names.length > 0) return named(forge, names);
  return {
    upstreams: () => (due ? dueFrom(forge) : servedUpstreams(store)),
    mirrors: () => (due ? dueJobs(forge, dryRun) : unfinishedJobs(forge)),
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
  return { upstreams: () => found.flatMap(({ upstreams }) => upstreams), mirrors: () => jobs };
}

const dueFrom = (forge: Forge): Upstream[] =>
  isFenced(forge) ? [] : dueUpstreams(servedUpstreams(forge.store), Date.now());

function dueJobs(forge: Forge, dryRun: boolean): SyncJob[] {
  if (!dryRun) takeSyncRequest(forge.paths);
  if (isFenced(forge)) return [];
  const now = Date.now();
  const mirrors = servedMirrors(forge.store);
  return dueMirrors(mirrors, lookAtMirrored(forge, new Map(), now), now, partTimes(forge, mirrors));
}

function unfinishedJobs(forge: Forge): SyncJob[] {
  const now = Date.now();
  const mirrors = servedMirrors(forge.store);
  const found: SyncJob[] = unfinishedMirrors(mirrors, lookAtMirrored(forge, new Map(), now), now);
  const known = new Set(found.map(({ mirror }) => mirror.id));
  const parts = wantedParts(forge.store);
  const fails = (id: string) => parts.get(id)?.some(({ error }) => error !== null) === true;
  const others = mirrors.filter(({ id }) => !known.has(id) && fails(id));
  return [...found, ...others.map((mirror) => ({ mirror, why: 'asked' as const }))];
}

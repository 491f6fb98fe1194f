import { join } from 'node:path';
import { isBusy, messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { movedRefs, wantedOf } from '../mirror/difference.ts';
import { exportWiki } from '../mirror/wiki/export.ts';
import { plannedTickets } from '../mirror/tickets/sync.ts';
import { exported, type SyncJob } from '../mirror/sync.ts';
import { mirrorPart } from '../store/mirror-parts.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Upstream } from '../store/upstreams.ts';
import { withLock } from '../system/locks.ts';

/** How many refs of one mirror are named. */
const named = 20;

/** What would be done for one mirror. */
type Plan = Awaited<ReturnType<typeof planOf>> & { error: string | null };

/**
 * `sync --dry-run`: what would be asked, and what would be pushed, by what was pushed last. Nobody is asked. One that can't be looked at
 * keeps no other from being shown.
 * @returns of each mirror whether it could be looked at, as a sync answers
 */
export async function drySync(
  forge: Forge,
  upstreams: readonly Upstream[],
  jobs: readonly SyncJob[],
  signal: AbortSignal,
): Promise<{ ok: boolean; busy: boolean }[]> {
  const asked = upstreams.map(({ repository, url }) => ({
    repository: findRepositoryById(forge.store, repository)?.name ?? repository,
    url,
  }));
  const plans: Plan[] = [];
  const looked: { ok: boolean; busy: boolean }[] = [];
  for (const { mirror } of jobs) {
    const row = findRepositoryById(forge.store, mirror.repository);
    if (row?.state !== 'active') continue;
    try {
      plans.push({ ...(await planOf(forge, row, mirror, signal)), error: null });
      looked.push({ ok: true, busy: false });
    } catch (error) {
      // What ended this ends the others, too.
      if (signal.aborted) throw error;
      plans.push({
        repository: row.name,
        mirror: mirror.name,
        url: mirror.url,
        ...nothing,
        error: messageOf(error),
      });
      looked.push({ ok: false, busy: isBusy(error) });
    }
  }
  const pushed = plans.flatMap(({ repository, mirror, refs, tickets, wiki, error }) => [
    `${repository} to ${mirror}: ${error ?? (refs.length === 0 ? 'nothing differs' : `${refs.length} refs`)}`,
    ...refs
      .slice(0, named)
      .map(({ ref, from, to }) => `  ${to === null ? 'delete' : from === null ? 'make' : 'move'} ${ref}`),
    ...(refs.length > named ? [`  and ${refs.length - named} more: --json names them`] : []),
    ...(wiki ? ['  push the wiki'] : []),
    ...tickets
      .slice(0, named)
      .map(({ kind, ticket, title }) => `  ${kind} issue of ${ticket.slice(0, 10)}: ${title}`),
    ...(tickets.length > named ? [`  and ${tickets.length - named} more issues: --json names them`] : []),
  ]);
  const lines = [
    ...asked.map(({ repository, url }) => `${repository} from ${url}: whatever is new`),
    ...pushed,
  ];
  forge.out.result({ upstreams: asked, plans }, lines.length === 0 ? 'nothing to do' : lines.join('\n'));
  return looked;
}

const nothing = { refs: [], tickets: [], wiki: false };

/** @throws OperatorError when the repository is at work elsewhere or can't be brought to Git */
async function planOf(forge: Forge, row: Repository, mirror: Mirror, signal: AbortSignal) {
  const cache = await exported(forge, row, { signal });
  const refs = movedRefs(wantedOf(mirror, cache), pushedRefs(forge.store, mirror.id));
  const steps = mirror.tickets ? plannedTickets(forge, mirror, join(forge.paths.data, row.file)) : [];
  const tickets = steps.map(({ kind, wanted }) => ({ kind, ticket: wanted.ticket, title: wanted.title }));
  const wiki = mirror.wiki && (await wikiDiffers(forge, row, mirror.id, signal));
  return { repository: row.name, mirror: mirror.name, url: mirror.url, refs, tickets, wiki };
}

async function wikiDiffers(
  forge: Forge,
  row: Repository,
  mirror: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { commit } = await withLock(forge.paths, `export-${row.id}`, 60_000, () =>
    exportWiki(forge, row, signal),
  );
  return (commit ?? null) !== mirrorPart(forge.store, mirror, 'wiki').git;
}

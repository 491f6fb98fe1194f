import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { movedRefs, wantedOf } from '../mirror/difference.ts';
import { exportWiki } from '../mirror/wiki/export.ts';
import { plannedTickets } from '../mirror/tickets/sync.ts';
import { exported, type SyncJob } from '../mirror/sync.ts';
import { mirrorPart } from '../store/mirror-parts.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import type { Upstream } from '../store/upstreams.ts';
import { withLock } from '../system/locks.ts';

/** How many refs of one mirror are named. */
const named = 20;

/** `sync --dry-run`: what would be asked, and what would be pushed, by what was pushed last. Nobody is asked. */
export async function drySync(
  forge: Forge,
  upstreams: readonly Upstream[],
  jobs: readonly SyncJob[],
  signal: AbortSignal,
): Promise<void> {
  const asked = upstreams.map(({ repository, url }) => ({
    repository: findRepositoryById(forge.store, repository)?.name ?? repository,
    url,
  }));
  const plans = [];
  for (const { mirror } of jobs) {
    const row = findRepositoryById(forge.store, mirror.repository);
    if (row?.state !== 'active') continue;
    const cache = await exported(forge, row, { signal });
    const refs = movedRefs(wantedOf(mirror, cache), pushedRefs(forge.store, mirror.id));
    const steps = mirror.tickets ? plannedTickets(forge, mirror, join(forge.paths.data, row.file)) : [];
    const tickets = steps.map(({ kind, wanted }) => ({ kind, ticket: wanted.ticket, title: wanted.title }));
    const wiki = mirror.wiki && (await wikiDiffers(forge, row, mirror.id, signal));
    plans.push({ repository: row.name, mirror: mirror.name, url: mirror.url, refs, tickets, wiki });
  }
  const pushed = plans.flatMap(({ repository, mirror, refs, tickets, wiki }) => [
    `${repository} to ${mirror}: ${refs.length === 0 ? 'nothing differs' : `${refs.length} refs`}`,
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

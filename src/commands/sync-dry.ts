import type { Forge } from '../forge.ts';
import { movedRefs, wantedOf } from '../mirror/difference.ts';
import { exported, type SyncJob } from '../mirror/sync.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import { findRepositoryById } from '../store/repositories.ts';

/** How many refs of one mirror are named. */
const named = 20;

/** `sync --dry-run`: what would be pushed, by what was pushed last. Nobody is asked. */
export async function drySync(forge: Forge, jobs: readonly SyncJob[]): Promise<void> {
  const plans = [];
  for (const { mirror } of jobs) {
    const row = findRepositoryById(forge.store, mirror.repository);
    if (row?.state !== 'active') continue;
    const cache = await exported(forge, row, {});
    const refs = movedRefs(wantedOf(mirror, cache), pushedRefs(forge.store, mirror.id));
    plans.push({ repository: row.name, mirror: mirror.name, url: mirror.url, refs });
  }
  const lines = plans.flatMap(({ repository, mirror, refs }) => [
    `${repository} to ${mirror}: ${refs.length === 0 ? 'nothing differs' : `${refs.length} refs`}`,
    ...refs
      .slice(0, named)
      .map(({ ref, from, to }) => `  ${to === null ? 'delete' : from === null ? 'make' : 'move'} ${ref}`),
    ...(refs.length > named ? [`  and ${refs.length - named} more: --json names them`] : []),
  ]);
  forge.out.result({ plans }, lines.length === 0 ? 'nothing to do' : lines.join('\n'));
}

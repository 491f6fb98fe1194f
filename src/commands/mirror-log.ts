import { withForge } from '../forge.ts';
import { describeRefs, describeRun } from '../mirror/describe-run.ts';
import type { GlobalOptions } from '../server.ts';
import { getRepository } from '../store/repositories.ts';
import { syncRuns } from '../store/sync-runs.ts';
import { parseInstant, showInstant } from '../system/instant.ts';
import { table } from '../system/table.ts';
import { mirrorNamed } from './mirror-show.ts';

/** `fossilrepo mirror log [REPO] [NAME]`: every run that brought something to a mirror, or could not, the newest first. */
export async function mirrorLog(
  options: GlobalOptions,
  repository: string | undefined,
  name: string | undefined,
  flags: { since: string },
): Promise<void> {
  const since = parseInstant(flags.since);
  await withForge(options, ({ store, out }) => {
    const row = repository === undefined ? undefined : getRepository(store, repository);
    const mirror = row && name !== undefined ? mirrorNamed({ store }, row, name) : undefined;
    const runs = syncRuns(store, { repository: row?.id, mirror: mirror?.id, since: since.getTime() });
    const rows = runs.map((run) => [
      showInstant(new Date(run.at)),
      ...[run.repository, run.mirror, run.part, run.why, describeRefs(run), describeRun(run)],
    ]);
    const head = ['WHEN', 'REPOSITORY', 'MIRROR', 'PART', 'WHY', 'REFS', 'WHAT'];
    out.result(
      { runs: runs.map((run) => ({ ...run, at: new Date(run.at).toISOString() })) },
      rows.length === 0 ? `nothing was pushed since ${showInstant(since)}` : table(head, rows),
    );
    return Promise.resolve();
  });
}

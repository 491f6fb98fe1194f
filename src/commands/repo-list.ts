import prettyBytes from 'pretty-bytes';
import { coverageNow } from '../backup/coverage-now.ts';
import { withForge } from '../forge.ts';
import { addressingOf } from '../health/outside.ts';
import { listWith } from '../repos/describe.ts';
import type { GlobalOptions } from '../server.ts';
import { listRepositories, listTrashed } from '../store/repositories.ts';
import { ago } from '../system/instant.ts';
import { table } from '../system/table.ts';

/** `fossilrepo repo list`: what there is, and how old its replica is. */
export async function repoList(options: GlobalOptions, flags: { trash: boolean }): Promise<void> {
  await withForge(options, async (forge) => {
    if (flags.trash) {
      const trashed = listTrashed(forge.store).map(({ id, name, deletedAt }) => ({
        id,
        name,
        deletedAt: new Date(deletedAt ?? 0).toISOString(),
        until: new Date((deletedAt ?? 0) + forge.config.repositories.trash).toISOString(),
      }));
      const rows = trashed.map(({ name, id, deletedAt, until }) => [name, id, deletedAt, until]);
      forge.out.result(
        { repositories: trashed },
        rows.length === 0 ? 'the trash is empty' : table(['NAME', 'ID', 'DELETED', 'KEPT UNTIL'], rows),
      );
      return;
    }
    const addressing = await addressingOf(forge.config);
    const ages = new Map((await coverageNow(forge)).map((covered) => [covered.id, covered]));
    const repositories = listRepositories(forge.store)
      .filter(({ state }) => state === 'active')
      .map((repository) => {
        const replica = ages.get(repository.id);
        return {
          ...listWith(forge, repository, addressing),
          replicated: replica?.ok ?? false,
          ageSeconds: replica?.ageSeconds ?? null,
        };
      });
    const rows = repositories.map((one) => [
      one.name + (one.archived ? ' (archived)' : ''),
      one.visibility,
      prettyBytes(one.bytes),
      one.checkins === null ? 'unreadable' : String(one.checkins),
      one.lastActivity === null ? '-' : ago(one.lastActivity),
      one.ageSeconds === null ? 'none' : `${one.ageSeconds.toFixed(1)} s`,
    ]);
    const text = table(['NAME', 'VISIBILITY', 'SIZE', 'CHECK-INS', 'LAST ACTIVITY', 'REPLICA AGE'], rows);
    forge.out.result(
      { repositories },
      rows.length === 0 ? 'no repositories yet: fossilrepo repo create NAME' : text,
    );
  });
}

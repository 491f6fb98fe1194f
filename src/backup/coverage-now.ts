import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { listRepositories } from '../store/repositories.ts';
import { type Covered, coverage } from './coverage.ts';
import { fenceOf } from './fence.ts';
import { managementId } from './location.ts';

/** Each database that has to be in the replica, and whether it is: all repositories, the canary, the management database. */
export async function coverageNow(
  forge: Pick<Forge, 'config' | 'paths' | 'store' | 'litestream'>,
): Promise<Covered[]> {
  const expected = [
    { id: managementId, name: 'management database', file: forge.paths.database, since: 0 },
    ...listRepositories(forge.store, { hidden: true })
      .filter(({ state }) => state === 'active')
      .map(({ id, name, file, createdAt }) => ({
        id,
        name,
        file: join(forge.paths.data, file),
        since: createdAt,
      })),
  ];
  const [listed, startedAt] = await forge.litestream
    .info()
    .then(async (info) => [await forge.litestream.list(), info.startedAt.getTime()] as const)
    .catch(() => [undefined, 0] as const);
  const asking = fenceOf(forge.store) === 'asking';
  const maxAgeMs = forge.config.replica.maxAge;
  return coverage({ expected, listed, now: Date.now(), maxAgeMs, startedAt, asking });
}

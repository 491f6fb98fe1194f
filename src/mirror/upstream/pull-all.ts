import pMap from 'p-map';
import type { Forge } from '../../forge.ts';
import { findRepositoryById } from '../../store/repositories.ts';
import type { Upstream } from '../../store/upstreams.ts';
import type { PullOptions } from './came.ts';
import { type PullResult, pullUpstream } from './pull.ts';

/** How many are asked at once. */
const atOnce = 4;

/** Takes what is new in several upstreams, each by itself. @param told of each result at once */
export async function pullAll(
  forge: Forge,
  upstreams: readonly Upstream[],
  options: PullOptions,
  told: (result: PullResult) => void,
): Promise<PullResult[]> {
  const results = await pMap(
    upstreams,
    async ({ repository }) => {
      const row = findRepositoryById(forge.store, repository);
      if (row?.state !== 'active') return [];
      const result = await pullUpstream(forge, row, options);
      told(result);
      return [result];
    },
    { concurrency: atOnce },
  );
  return results.flat();
}

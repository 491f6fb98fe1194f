import type { Forge } from '../forge.ts';
import type { Why } from '../plan/sync.ts';
import { findRepositoryById } from '../store/repositories.ts';
import type { Upstream } from '../store/upstreams.ts';
import { syncRepository, type SyncJob, type SyncOptions, type SyncResult } from './sync.ts';
import { type Due, type Place, takeTurns } from './turns.ts';
import { type PullResult, pullUpstream } from './upstream/pull.ts';

/** What there is to do; looked for anew at each call. */
export type SyncWork = {
  upstreams: () => readonly Upstream[];
  mirrors: () => readonly SyncJob[];
};

export type Synced = { pulled: PullResult[]; results: SyncResult[] };

/** Milliseconds. */
const exportPatience = 30_000;

/** With a job to push, with an address to pull. */
type Turn = Due & { job?: SyncJob; url?: string };

const pullOf = ({ id, repository, url, triedAt, errorKind }: Upstream): Turn => ({
  ...{ id, repository, url, triedAt: triedAt ?? 0 },
  place: errorKind === null ? 'pull' : 'pull again',
});
const pushOf = (job: SyncJob): Turn => ({
  ...{ id: job.mirror.id, repository: job.mirror.repository, triedAt: job.mirror.triedAt ?? 0, job },
  place: pushPlaces[job.why] ?? 'push',
});
const pushPlaces: Partial<Record<Why, Place>> = { new: 'first push', retry: 'push again' };

/**
 * Takes what is new in upstreams and brings mirrors up to date, several repositories at a time.
 * @param options.until from then on nothing more is begun. Milliseconds since 1970
 * @param options.again goes on looking while something is at work: no upstream and no mirror that is slow holds up another. Else upstreams
 * first: what comes goes on to the mirrors.
 * @param told of each result at once
 */
export async function syncAll(
  forge: Forge,
  { upstreams, mirrors }: SyncWork,
  options: SyncOptions & { again: boolean; until: number },
  told: {
    pulling: (repository: string, url: string) => void;
    pulled: (result: PullResult) => void;
    pushed: (result: SyncResult) => void;
  },
): Promise<Synced> {
  const { until } = options;
  const synced: Synced = { pulled: [], results: [] };
  const phases: (() => Turn[])[] = options.again
    ? [() => (Date.now() < until ? [...upstreams().map(pullOf), ...mirrors().map(pushOf)] : [])]
    : [() => upstreams().map(pullOf), () => mirrors().map(pushOf)];
  for (const look of phases) {
    // What was asked for is done once, also when it failed.
    const all = options.again ? undefined : look();
    await takeTurns(
      options,
      () => all ?? look(),
      async (group, { ended, busy }) => {
        const [first] = group;
        const repository = first?.repository ?? '';
        const jobs = group.flatMap(({ job }) => job ?? []);
        if (jobs.length === 0) {
          const row = findRepositoryById(forge.store, repository);
          if (row?.state !== 'active') return;
          told.pulling(row.name, first?.url ?? '');
          const result = await pullUpstream(forge, row, { signal: options.signal });
          if (result.busy) busy(first?.id ?? '');
          synced.pulled.push(result);
          told.pulled(result);
          return;
        }
        const results = await syncRepository(forge, repository, jobs, {
          ...options,
          // Two groups of one repository may be at work: those that failed before, and the others.
          patience: options.again ? exportPatience : 0,
          ended: ({ id }) => ended(id),
        });
        for (const result of results) {
          if (result.busy) busy(jobs.find(({ mirror }) => mirror.name === result.mirror)?.mirror.id ?? '');
          synced.results.push(result);
          told.pushed(result);
        }
      },
    );
  }
  return synced;
}

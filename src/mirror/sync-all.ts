import pMap from 'p-map';
import type { Forge } from '../forge.ts';
import { syncRepository, type SyncJob, type SyncOptions, type SyncResult } from './sync.ts';

/** Repositories that are worked on at once. A remote that says nothing keeps one of these places for minutes. */
const atOnce = 8;
/** How often it is looked again while something is at work. Milliseconds. */
const lookAgain = 2_000;
/** More often a mirror is not tried in one run, whatever is pushed meanwhile. */
const mostTries = 20;

/**
 * Brings mirrors up to date, several repositories at a time.
 * @param jobs looks what there is to do; asked again while something is at work, so that a slow mirror doesn't keep others waiting
 * @param told of each result at once
 */
export async function syncAll(
  forge: Forge,
  jobs: () => SyncJob[],
  options: SyncOptions & { again: boolean },
  told: (result: SyncResult) => void,
): Promise<SyncResult[]> {
  const results: SyncResult[] = [];
  const atWork = new Set<string>();
  const tries = new Map<string, number>();
  let wake = (): void => undefined;

  const mayTry = ({ mirror }: SyncJob): boolean =>
    !atWork.has(mirror.id) && (tries.get(mirror.id) ?? 0) < (options.again ? mostTries : 1);

  const somethingEnded = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lookAgain);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function* groups(): AsyncGenerator<[string, SyncJob[]]> {
    for (let round = 0; round === 0 || options.again; round++) {
      const found = [...Map.groupBy(jobs().filter(mayTry), ({ mirror }) => mirror.repository)];
      for (const [repository, all] of found) {
        const group = all.filter(mayTry);
        if (group.length === 0) continue;
        for (const { mirror } of group) {
          atWork.add(mirror.id);
          tries.set(mirror.id, (tries.get(mirror.id) ?? 0) + 1);
        }
        yield [repository, group];
      }
      if (options.signal?.aborted || (found.length === 0 && atWork.size === 0)) return;
      if (options.again && atWork.size > 0) await somethingEnded();
    }
  }

  await pMap(
    groups(),
    async ([repository, group]) => {
      const ended = ({ id }: { id: string }) => {
        atWork.delete(id);
        wake();
      };
      const done = await syncRepository(forge, repository, group, { ...options, ended });
      results.push(...done);
      for (const result of done) {
        // Somebody else brings it up to date.
        if (result.busy)
          tries.set(group.find(({ mirror }) => mirror.name === result.mirror)?.mirror.id ?? '', mostTries);
        told(result);
      }
      for (const { mirror } of group) ended(mirror);
    },
    { concurrency: atOnce },
  );
  return results;
}

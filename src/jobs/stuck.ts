import pMap from 'p-map';
import { allDatabases, beginAnew, type Database, isStuck, mendEnd } from '../backup/begin-anew.ts';
import type { Replicated } from '../backup/control.ts';
import { replicatedDatabases, stopReplicating } from '../backup/replicate.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { addEvent } from '../store/events.ts';
import type { Backoff } from './backoff.ts';
import type { HighWaterKeeper } from './high-water.ts';

/** So long after the last time that all of a database was seen in the replica the reason is looked for. Milliseconds. */
const late = 20_000;
/** How many histories are looked at in one try, at the same time: commands wait meanwhile. Litestream lets go of a database within five seconds. */
const atOnce = 8;

/**
 * Has databases begin anew with which Litestream can't go on, since a transaction that it would have to send next is gone. The caller holds
 * the `changes` lock.
 */
export async function mendStuck(
  forge: Forge,
  backoff: Backoff,
  highWater: Pick<HighWaterKeeper, 'forget'>,
  listed: readonly Replicated[],
): Promise<void> {
  const behind = await lateDatabases(forge, listed);
  if (behind.length === 0) backoff.clear('stuck');
  else if (backoff.due('stuck')) {
    const stuck = await stuckAmong(forge, behind.slice(0, atOnce));
    if (stuck.length === 0) return;
    const all = await unstick(forge, stuck, highWater);
    // The next ones at once.
    if (all) backoff.clear('stuck');
  }
}

/** The one that was seen longest ago first. */
async function lateDatabases(forge: Forge, listed: readonly Replicated[]): Promise<Database[]> {
  const info = await forge.litestream.info().catch(() => undefined);
  if (info === undefined || Date.now() - info.startedAt.getTime() < late) return [];
  const all = new Map(allDatabases(forge).map((database) => [database.file, database]));
  return listed
    .map(({ path, lastSyncAt }) => ({ database: all.get(path), at: lastSyncAt?.getTime() ?? 0 }))
    .filter(({ at }) => Date.now() - at > late)
    .sort((a, b) => a.at - b.at)
    .flatMap(({ database }) => database ?? []);
}

/** While the storage can't be asked none: that is seen by whoever watches it. */
async function stuckAmong(forge: Forge, databases: readonly Database[]): Promise<Database[]> {
  try {
    const stuck = await pMap(databases, async (each) => ((await isStuck(forge, each)) ? [each] : []), {
      concurrency: atOnce,
    });
    return stuck.flat();
  } catch (error) {
    if (error instanceof OperatorError) return [];
    throw error;
  }
}

/** How a database goes on; `later` when it can't be known yet. */
type End = 'put back' | 'sent again' | 'erased' | 'later';

/** @returns whether all of them go on */
async function unstick(
  forge: Forge,
  databases: readonly Database[],
  highWater: Pick<HighWaterKeeper, 'forget'>,
): Promise<boolean> {
  await pMap(databases, ({ file }) => stopReplicating(forge, file), { concurrency: atOnce });
  const ends = new Map(
    await pMap(databases, async (each) => [each, await putEndBack(forge, each)] as const, {
      concurrency: atOnce,
    }),
  );
  const others = databases.filter((each) => ends.get(each) === 'sent again');
  const erased = others.length === 0 ? [] : await highWater.forget(others, () => beginAnew(forge, others));
  for (const each of others) if (erased.includes(each.id)) ends.set(each, 'erased');
  const urls = replicatedDatabases(forge);
  for (const [{ file }, end] of ends) {
    const url = urls.get(file);
    if (url !== undefined) await forge.litestream.register(file, url);
    if (end !== 'later') addEvent(forge.store, { kind: 'mended', text: toldOf[end](file) });
  }
  return ![...ends.values()].includes('later');
}

/** One of which the storage takes nothing now keeps the others from nothing. */
const putEndBack = (forge: Forge, database: Database): Promise<End> =>
  mendEnd(forge, database).then(
    (mended) => (mended ? 'put back' : 'sent again'),
    () => 'later',
  );

const noMore = (file: string): string => `Litestream had no longer what it was to send next of ${file}`;

const toldOf: Record<Exclude<End, 'later'>, (file: string) => string> = {
  'put back': (file) =>
    `The last transaction of ${file} was missing from the replica, and was put back from beside it`,
  'sent again': (file) => `${noMore(file)}: all of it is sent again`,
  erased: (file) =>
    `${noMore(file)}: its history in the replica was not whole, and begins anew: what was before can be restored no more`,
};

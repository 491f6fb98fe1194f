import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pMap from 'p-map';
import { litestreamState } from '../config/paths.ts';
import type { Forge } from '../forge.ts';
import { allRepositories } from '../store/repositories.ts';
import { forgetHighWater, noneWhenDamaged, readHighWater, writeHighWater } from './high-water.ts';
import { keepSingle } from './last-single.ts';
import { levelKey, levels, managementId, partOf, transactionsOf } from './location.ts';
import { openReplicaStore, type Replica, storedHistory } from './open.ts';
import { deleteAll } from './store.ts';
import { takenOut } from './taken-out.ts';

type Storing = Replica & Pick<Forge, 'store' | 'paths'>;

/** A database by its id (`managementId` for that one) and its file. */
export type Database = { id: string; file: string };

/** How many histories are looked at, at the same time. */
const lookedAtOnce = 16;

/** Every database that is or may again be replicated: those in the trash, too. */
export const allDatabases = ({ store, paths }: Pick<Forge, 'store' | 'paths'>): Database[] => [
  { id: managementId, file: paths.database },
  ...allRepositories(store).map(({ id, file }) => ({ id, file: join(paths.data, file) })),
];

/**
 * Forgets how far databases were in another replica, so that Litestream sends all of each. What it keeps beside a database goes on from the
 * last transaction that was sent, and older ones than `replica.exact` are no longer there to be sent (`uploadLTXFile` in its replica.go then
 * fails for ever). Without that it begins behind the last single transaction in the replica, or with the first when there is none. A history
 * of merged ones and snapshots alone would then be taken for one with the new beginning: a restore from both has pages of either
 * (Litestream 0.5.17), so it goes, and so does what is left of one whose beginning a killed try had taken away. Called again, it goes on;
 * the caller knows that Litestream doesn't have these databases.
 * @returns the ids of those whose history in the replica went
 * @throws OperatorError when the storage can't be asked or written
 */
export async function beginAnew(forge: Storing, databases: readonly Database[]): Promise<string[]> {
  const { config, secrets, instance } = forge;
  const replica = openReplicaStore(config.replica, secrets.storage);
  const broken = await pMap(
    databases,
    async ({ id }) => {
      const reaches = await reachOf(forge, id);
      return reaches.single < reaches.merged || reaches.begins === false ? [id] : [];
    },
    { concurrency: lookedAtOnce },
  );
  const erased = broken.flat();
  for (const { id } of databases) forgetHighWater(forge.store, id);
  if (erased.length > 0) {
    const marks = await readHighWater(replica, instance).catch(noneWhenDamaged);
    await writeHighWater(replica, instance, new Map([...marks].filter(([id]) => !erased.includes(id))));
  }
  for (const id of erased) await deleteAll(replica, `${storedHistory(forge, partOf(id)).key}/`);
  for (const { file } of databases) rmSync(litestreamState(file), { recursive: true, force: true });
  return erased;
}

/**
 * Whether Litestream can't go on with a database: the transaction that the replica lacks next is no longer beside it, though later ones are.
 * @throws OperatorError when the storage can't be asked
 */
export async function isStuck(forge: Storing, { id, file }: Database): Promise<boolean> {
  // First: what is sent meanwhile only makes the replica reach further.
  const beside = takenOut(file).flatMap((path) => transactionsOf(path) ?? []);
  const newest = Math.max(0, ...beside.map(({ max }) => max));
  if (newest === 0) return false;
  const next = (await reachOf(forge, id)).single + 1;
  return newest >= next && !beside.some(({ min, max }) => min <= next && next <= max);
}

/**
 * Puts the transaction back, from beside the database, that merged ones end with and that isn't there by itself.
 * @returns whether one was missing and is there now
 * @throws OperatorError when the storage can't be asked or written
 */
export async function mendEnd(forge: Storing, { id, file }: Database): Promise<boolean> {
  const { single, merged } = await reachOf(forge, id);
  if (single >= merged) return false;
  return await keepSingle(storedHistory(forge, partOf(id)), { file, txid: merged });
}

/**
 * The newest transaction in the replica that lies there by itself, and the newest that is in a merged one or a snapshot; 0 for none. `begins`:
 * whether the first one is there, by itself or in another file; undefined where nothing is.
 */
async function reachOf(
  forge: Storing,
  id: string,
): Promise<{ single: number; merged: number; begins: boolean | undefined }> {
  const { store, ...place } = storedHistory(forge, partOf(id));
  let begins: boolean | undefined;
  const newest = async (level: number): Promise<number> => {
    let newestMax = 0;
    for await (const object of store.list(levelKey(place, level))) {
      const { min, max } = transactionsOf(object.key) ?? { min: 0, max: 0 };
      newestMax = Math.max(newestMax, max);
      if (min > 0) begins = begins === true || min === 1;
    }
    return newestMax;
  };
  const [single, merged] = await Promise.all([
    newest(0),
    Promise.all(levels.slice(1).map(newest)).then((all) => Math.max(...all)),
  ]);
  return { single, merged, begins };
}

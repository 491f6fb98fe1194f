import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Forge } from '../forge.ts';
import { OperatorError } from '../errors.ts';
import { integer, text } from '../store/rows.ts';
import { all, change, first, type Store, transaction } from '../store/store.ts';
import { parseJson } from '../system/json.ts';
import { openReplicaStore } from './open.ts';
import type { ReplicaStore } from './store.ts';

type Marked = Pick<Forge, 'config' | 'secrets' | 'store' | 'instance'>;

/**
 * The newest transaction of each database, by its id, that was seen in the replica. It is kept in two places, so that an end of a history
 * that is lost is noticed on whatever is left: a list of objects alone can't tell a lost last one from one that never was.
 */
export type HighWater = ReadonlyMap<string, number>;

/** Where it lies beside the replica. */
const objectKey = (instance: string): string => `${instance}/high-water.json`;

/** Each mark, and beside them a checksum: a digit that was flipped is still a number. Earlier versions wrote none. */
const objectSchema = z.object({ sha256: z.string().optional() }).catchall(z.int().positive());

/** Over the marks, in the order of their ids. */
const checksum = (marks: readonly (readonly [string, number])[]): string =>
  createHash('sha256')
    .update(JSON.stringify([...marks].sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex');

/** What the replica's own note says; empty when there is none. @throws OperatorError: check when it is damaged, or the storage can't be asked */
export async function readHighWater(store: ReplicaStore, instance: string): Promise<HighWater> {
  const key = objectKey(instance);
  const written = await store.get(key);
  const { data } = objectSchema.safeParse(written === undefined ? {} : parseJson(written));
  const { sha256, ...rest } = data ?? {};
  const marks = Object.entries(rest);
  if (data === undefined || (sha256 !== undefined && sha256 !== checksum(marks)))
    throw new OperatorError(
      `The object ${key} in the replica is damaged: how far each history went can't be known.`,
      {
        next: 'A server that runs writes it anew within a minute. Without one, move it away: then a lost end goes unnoticed.',
        exit: 'check',
      },
    );
  return new Map(marks);
}

/** What is damaged there is written anew: `readHighWater(…).catch(noneWhenDamaged)`. */
export function noneWhenDamaged(error: unknown): HighWater {
  if (error instanceof OperatorError && error.exit === 'check') return new Map();
  throw error;
}

/** @throws OperatorError when the storage can't be written */
export async function writeHighWater(store: ReplicaStore, instance: string, marks: HighWater): Promise<void> {
  const written = { ...Object.fromEntries(marks), sha256: checksum([...marks]) };
  await store.put(objectKey(instance), `${JSON.stringify(written)}\n`);
}

/** Remembers the marks in the management database, too; those that are there already and higher stay. */
export function saveHighWater(store: Store, marks: HighWater): void {
  transaction(store, () => {
    for (const [id, txid] of marks)
      change(
        store,
        `INSERT INTO high_water(id, txid) VALUES (?, ?)
         ON CONFLICT(id) DO UPDATE SET txid = excluded.txid WHERE excluded.txid > txid`,
        id,
        txid,
      );
  });
}

/** Of several the highest mark of each database. */
export function highest(...several: readonly HighWater[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const [id, txid] of several.flatMap((marks) => [...marks]))
    found.set(id, Math.max(txid, found.get(id) ?? 0));
  return found;
}

/** What the management database remembers. */
export const savedHighWater = (store: Store): HighWater =>
  new Map(
    all(store, 'SELECT id, txid FROM high_water').map((row) => [text(row, 'id'), integer(row, 'txid')]),
  );

/** The newest transaction of one database that is known to have been in the replica; 0 when nothing is known. */
export function knownTxid(store: Store, id: string, beside: HighWater): number {
  const row = first(store, 'SELECT txid FROM high_water WHERE id = ?', id);
  return Math.max(beside.get(id) ?? 0, row === undefined ? 0 : integer(row, 'txid'));
}

/** The same of this server's replica. @throws OperatorError when the storage can't be asked */
export async function newestMarked(forge: Marked, id: string): Promise<number> {
  const replica = openReplicaStore(forge.config.replica, forge.secrets.storage);
  return knownTxid(forge.store, id, await readHighWater(replica, forge.instance));
}

/** A history that is erased or begun anew begins with the first transaction again. */
export const forgetHighWater = (store: Store, id?: string): number =>
  change(store, 'DELETE FROM high_water WHERE ?1 IS NULL OR id = ?1', id ?? null);

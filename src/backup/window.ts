import type { StoredHistory } from './history.ts';
import { hexTxid, levelKey, levels, transactionsOf } from './location.ts';
import type { ReplicaObject } from './store.ts';

/** From when to when a database can be restored, by the storage's own times; null when nothing can. */
export type RecoveryWindow = { from: Date | null; to: Date | null };

/** How an LTX file's name starts that holds all from the first transaction on: a restore begins with one of these. */
const whole = `${hexTxid(1)}-`;

/**
 * From when to when a database can be restored. `to` is the last change, or the last merging of changes: for a database that nobody
 * writes to, every later instant gives the same state. Five short lists, whatever the length of the history.
 */
export async function recoveryWindow({ store, ...place }: StoredHistory): Promise<RecoveryWindow> {
  const starts: ReplicaObject[] = [];
  for (const level of levels)
    for await (const object of store.list(`${levelKey(place, level)}${whole}`))
      if (object.bytes > 0) starts.push(object);
  const merged = Math.max(0, ...starts.map((object) => transactionsOf(object.key)?.max ?? 0));
  const times = starts.map(({ modified }) => modified.getTime());
  if (times.length === 0) return { from: null, to: null };
  const from = Math.min(...times);
  const single = levelKey(place, 0);
  for await (const object of store.list(single, { after: `${single}${hexTxid(merged)}` }))
    times.push(object.modified.getTime());
  return { from: new Date(from), to: new Date(times.reduce((last, time) => Math.max(last, time), 0)) };
}

/**
 * Whether a transaction is in the replica, seen past Litestream: an object that holds it is there, as it was or merged into another.
 */
export async function inReplica({ store, ...place }: StoredHistory, txid: number): Promise<boolean> {
  const single = `${levelKey(place, 0)}${hexTxid(txid)}-`;
  // A file that was cut off has no bytes.
  for await (const object of store.list(single)) if (object.bytes > 0) return true;
  for (const level of levels.slice(1))
    for await (const object of store.list(levelKey(place, level))) {
      const held = transactionsOf(object.key);
      if (held && object.bytes > 0 && held.min <= txid && txid <= held.max) return true;
    }
  return false;
}

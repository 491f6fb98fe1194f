import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { OperatorError } from '../errors.ts';
import type { Repository } from '../store/repositories.ts';
import { type HistoryFile, newestTxid, type StoredHistory } from './history.ts';
import { type HistoryPlace, hexTxid, levelKey } from './location.ts';
import { takenOut } from './taken-out.ts';

// Without a state beside the database Litestream (0.5.17) begins behind the newest transaction that lies in the replica by itself, whatever
// merged ones and snapshots hold. That one never ages out; with it lost, numbers would be used a second time, and a later restore would
// give the state before, or pages of both.

/** Where one transaction lies by itself. */
const singleKey = (place: HistoryPlace, txid: number): string =>
  `${levelKey(place, 0)}${hexTxid(txid)}-${hexTxid(txid)}.ltx`;

/** @throws OperatorError when the storage can't be asked */
export async function hasSingle({ store, ...place }: StoredHistory, txid: number): Promise<boolean> {
  const single = singleKey(place, txid);
  // What was being written beside it when somebody was killed begins with the same.
  for await (const object of store.list(single)) if (object.key === single && object.bytes > 0) return true;
  return false;
}

/**
 * Puts a transaction that is in merged ones back by itself, from beside the database, where it isn't in the replica so.
 * @returns whether it is there now
 * @throws OperatorError when the storage can't be asked or written
 */
export async function keepSingle(
  history: StoredHistory,
  { file, txid }: { file: string; txid: number },
): Promise<boolean> {
  if (await hasSingle(history, txid)) return true;
  const single = singleKey(history, txid);
  const own = besideIt(file, single);
  if (own === undefined) return false;
  await history.store.put(single, readFileSync(own));
  return true;
}

/** Whether `keepSingle` would find it beside the database. */
export const canKeepSingle = (place: HistoryPlace, { file, txid }: { file: string; txid: number }): boolean =>
  besideIt(file, singleKey(place, txid)) !== undefined;

const besideIt = (file: string, single: string): string | undefined =>
  takenOut(file).find((path) => basename(path) === basename(single));

/** The transaction that a history ends with, when it isn't there by itself: as listed, and what is merged meanwhile may be newer than the list. */
export function lostEnd(history: readonly HistoryFile[]): number | undefined {
  const newest = newestTxid(history);
  return history.some(({ level, max, bytes }) => level === 0 && max === newest && bytes > 0)
    ? undefined
    : newest;
}

/** That a repository can't go on with its history: its state is whole. */
export const lostEndError = (
  place: HistoryPlace,
  txid: number,
  { id }: Pick<Repository, 'id'>,
): OperatorError =>
  new OperatorError(
    `The object ${singleKey(place, txid)} is missing from the replica. The state is whole, since other objects hold the same, but Litestream could not go on with this history.`,
    {
      next: `Have the state as a file, fossilrepo restore ${id} --at now --into FOLDER, and begin a new history with it: fossilrepo repo create OTHER --from FILE. The former history stays.`,
      exit: 'check',
    },
  );

import { type HistoryPlace, levelKey, levelOf, levels, transactionsOf } from './location.ts';
import type { ReplicaObject, ReplicaStore } from './store.ts';

/** One database's history in a storage that is open. */
export type StoredHistory = HistoryPlace & { store: ReplicaStore };

/** One LTX file in the replica: the pages that the transactions `min` to `max` left, all of the database's when `min` is 1. */
export type HistoryFile = ReplicaObject & { level: number; min: number; max: number };

/**
 * Everything that the replica holds of one database, by level, then by transaction. S3 lists in the order of keys, so that all levels come
 * by one request, the lower ones first: what is merged meanwhile is seen twice, not never. A folder has no order and is listed by level.
 */
export async function listHistory({ store, ...place }: StoredHistory): Promise<HistoryFile[]> {
  const files: HistoryFile[] = [];
  const parts = place.kind === 's3' ? [`${place.key}/`] : levels.map((level) => levelKey(place, level));
  for (const part of parts)
    for await (const object of store.list(part)) {
      const transactions = transactionsOf(object.key);
      const level = levelOf(place, object.key);
      if (transactions && level !== undefined) files.push({ ...object, level, ...transactions });
    }
  return files.sort((a, b) => a.level - b.level || a.min - b.min || a.max - b.max);
}

/** The newest transaction that the replica holds; 0 when there is none. */
export const newestTxid = (history: readonly HistoryFile[]): number =>
  history.reduce((newest, { max }) => Math.max(newest, max), 0);

/** An LTX file's header in bytes (ltx.go of superfly/ltx 0.5); a shorter file is a broken one. */
export const headerBytes = 100;

/** What an LTX file's header says. */
export type HistoryHeader = {
  /** When its last transaction was taken out of the database, by that server's clock. */
  takenAt: Date;
  /** The database's size after it. Bytes. */
  databaseBytes: number;
};

/**
 * Reads a file's header.
 * @returns `gone` when there is no such object any more, `unreadable` when it is cut off or something else, or says another time than
 *   Litestream wrote beside it: a flipped bit there would have the file taken for a later or an earlier one, and another state for the
 *   right one
 */
export async function readHeader(
  store: ReplicaStore,
  file: Pick<HistoryFile, 'key'>,
): Promise<HistoryHeader | 'gone' | 'unreadable'> {
  const head = await store.head(file.key, headerBytes);
  if (head === undefined) return 'gone';
  const { bytes, dated, surely } = head;
  if (bytes.length < headerBytes || bytes.toString('latin1', 0, 4) !== 'LTX1') return 'unreadable';
  const takenAt = new Date(Number(bytes.readBigUInt64BE(32)));
  const late = dated === undefined ? 0 : takenAt.getTime() - dated.getTime();
  const precision = dated === undefined ? 0 : precisionOf(dated);
  if (late > precision || (surely && -late > precision)) return 'unreadable';
  return {
    takenAt,
    databaseBytes: bytes.readUInt32BE(8) * bytes.readUInt32BE(12),
  };
}

/** Some ways to copy a folder keep whole seconds; FAT keeps every other one, exFAT hundredths. A copy without times is later. Milliseconds. */
function precisionOf(date: Date): number {
  const time = date.getTime();
  return time % 1000 === 0 ? 2_000 : time % 10 === 0 ? 10 : 1;
}

/**
 * The files that give a database as it was after a transaction, in the order in which they are laid over each other: the newest snapshot
 * before it, then what leads furthest at each step. Litestream's `restore -txid` takes the same ones (CalcRestorePlan in its replica.go).
 * @returns `files`, and `missing`, the transaction that no file continues with, when they don't lead there
 */
export function filesFor(
  history: readonly HistoryFile[],
  txid: number,
): { files: HistoryFile[]; missing: number | undefined } {
  const files: HistoryFile[] = [];
  const usable = history.filter(({ max }) => max <= txid);
  const top = levels.at(-1);
  let reached = 0;
  const take = (file: HistoryFile | undefined): boolean => {
    if (file === undefined) return false;
    files.push(file);
    reached = file.max;
    return true;
  };
  take(furthest(usable.filter(({ level }) => level === top)));
  while (reached < txid) {
    const next = usable.filter(({ level, min, max }) => level !== top && min <= reached + 1 && max > reached);
    if (!take(furthest(next))) return { files, missing: reached + 1 };
  }
  return { files, missing: undefined };
}

/** Of two that lead as far, the one that holds more, then the more merged one. */
function furthest(files: readonly HistoryFile[]): HistoryFile | undefined {
  return files.reduce<HistoryFile | undefined>(
    (best, file) =>
      best === undefined ||
      file.max > best.max ||
      (file.max === best.max && (file.min < best.min || (file.min === best.min && file.level > best.level)))
        ? file
        : best,
    undefined,
  );
}

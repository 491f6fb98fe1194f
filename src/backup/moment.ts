import pMap from 'p-map';
import { OperatorError } from '../errors.ts';
import { showInstant } from '../system/instant.ts';
import {
  headerBytes,
  type HistoryFile,
  filesFor,
  newestTxid,
  readHeader,
  type StoredHistory,
} from './history.ts';
import { hexTxid, levelKey, levels } from './location.ts';
import type { ReplicaStore } from './store.ts';

/** One state of a database that can be brought back. */
export type Moment = {
  txid: number;
  /** When it was taken out of the database. */
  takenAt: Date;
  /** The database's size then. Bytes. */
  databaseBytes: number;
  /** What has to be read, in order. */
  files: HistoryFile[];
  /** Whether the server's clock was set forth or back around then, so that the instant came twice: the later state is taken. */
  twice: boolean;
  /** Whether what came next is kept only merged with what came later: some of it may be older than the instant, and is not in the state. */
  merged: boolean;
};

/** Where one database's history lies, and what it holds (`listHistory`). */
export type History = StoredHistory & { files: readonly HistoryFile[] };

export type MomentWish = {
  /** Undefined: the newest. */
  at: Date | undefined;
  /** The newest transaction that is known to have been in the replica: an older end of the history is a lost one. */
  known: number;
};

/**
 * How far the storage's clock and the server's may be apart. Files whose times are nearer to the wanted instant than this are asked for
 * the time in their header, which is the server's own and exact to the millisecond: S3 says when an object arrived, in seconds, and a
 * storage that was down gets everything late. Milliseconds.
 */
const slack = 60_000;

/**
 * The state that was the database's at an instant: all that was taken out of it until then and nothing later.
 * @throws OperatorError: usage, with the window, for an instant before it; check, naming the object, when the history has a gap there or
 *   ends too early. Never an older state instead.
 */
export async function momentAt(history: History, { at, known }: MomentWish): Promise<Moment> {
  const { files } = history;
  if (files.length === 0)
    throw new OperatorError(`There is nothing in the replica below ${history.key}.`, {
      next: 'See fossilrepo backup status.',
      exit: 'check',
    });
  const newest = newestTxid(files);
  const txid =
    at === undefined
      ? newest
      : Math.max(0, ...(await Promise.all(levels.map((level) => lastBefore(history, level, at)))));
  if (txid === 0) throw files.some(({ min }) => min === 1) ? await tooEarly(history, at) : lost(history, 1);
  refuseGap(history, txid, Math.max(known, newest));
  if (at !== undefined) await refuseLater(history, txid, at);
  const { files: needed, missing } = filesFor(files, txid);
  if (missing !== undefined) throw lost(history, missing);
  refuseDamaged(history, needed, txid);
  const last = needed.at(-1);
  const header = last && (await readHeader(history.store, last));
  if (header === undefined || typeof header === 'string') throw damaged(last?.key ?? history.key);
  const twice = at !== undefined && jumped(history, txid, at);
  const single = files.some(({ level, min, max }) => level === 0 && min <= txid + 1 && max > txid);
  const merged = at !== undefined && txid < newest && !single;
  return { txid, files: needed, ...header, twice, merged };
}

/** Whether something that came before the found transaction has a later time than the instant. In a folder a file's time is its header's. */
function jumped({ files, kind }: History, txid: number, at: Date): boolean {
  const limit = at.getTime() + (kind === 'directory' ? 0 : slack);
  return files.some(({ level, max, modified }) => level === 0 && max < txid && modified.getTime() > limit);
}

/** The last transaction that one level's files lead to at an instant, or 0. */
async function lastBefore({ store, files }: History, level: number, at: Date): Promise<number> {
  const own = files.filter((file) => file.level === level);
  const limit = at.getTime();
  const surely = await lastOlder(store, own, limit);
  let found = own[surely]?.max ?? 0;
  let past = false;
  const rest = own.slice(surely + 1);
  const lastNear = rest.findLastIndex(({ modified }) => modified.getTime() <= limit + slack);
  for (let start = 0; start < rest.length; start += batch) {
    const asked = rest.slice(start, start + batch);
    const headers = await pMap(asked, (file) => readHeader(store, file), { concurrency: batch });
    for (const [index, file] of asked.entries()) {
      const header = headers[index] ?? 'gone';
      if (header === 'gone') {
        // Some storages list objects that they have lost; what has only aged out is listed no more.
        if (await isListed(store, file.key)) throw damaged(file.key);
        continue;
      }
      if (header === 'unreadable') {
        // Whether it was made before the instant can't be known, unless something before it was made after.
        if (!past) throw damaged(file.key);
        continue;
      }
      past = header.takenAt.getTime() > limit;
      if (!past) found = file.max;
      // A clock that was set back makes times jump; when all that follows arrived much later, it is past the instant all the same.
      else if (start + index > lastNear) return found;
    }
  }
  return found;
}

async function isListed(store: ReplicaStore, key: string): Promise<boolean> {
  for await (const object of store.list(key)) if (object.key === key) return true;
  return false;
}

/**
 * The last of some files that is older than an instant for certain, or -1: a file arrives after it was taken. The server's clock may have
 * been ahead of the storage's by any time, so that its header is believed, and one further back where it says something else.
 */
async function lastOlder(store: ReplicaStore, own: readonly HistoryFile[], limit: number): Promise<number> {
  let index = own.findLastIndex(({ modified }) => modified.getTime() <= limit - slack);
  for (let step = 1; index >= 0; step *= 2) {
    const file = own[index];
    const header = file && (await readHeader(store, file));
    if (typeof header === 'object' && header.takenAt.getTime() <= limit) return index;
    index = Math.max(-1, index - step);
  }
  return -1;
}

/** How many headers are read at once. */
const batch = 16;

/**
 * What follows the wanted state has to be there too, unless nothing does: a transaction that is missing right behind it may have been made
 * before the instant. A merged file may hold it and some before it: a snapshot ends anywhere within one.
 */
function refuseGap(history: History, txid: number, newest: number): void {
  if (txid >= newest) return;
  const next = txid + 1;
  const snapshots = history.files.filter(({ level }) => level === levels.at(-1));
  const oldest = Math.min(...snapshots.map(({ max }) => max));
  for (const level of levels.slice(0, -1)) {
    const own = history.files.filter((file) => file.level === level);
    const [first] = own;
    const later = first === undefined || first.min > next;
    // Single ones age out; merged ones are kept from the oldest snapshot on (EnforceRetentionByTXID in Litestream's compactor.go).
    if (later && (level === 0 || next <= oldest)) continue;
    if (!own.some(({ min, max }) => min <= next && max >= next)) throw lost(history, next);
    return;
  }
  throw lost(history, next);
}

/**
 * What was merged holds the time of its last transaction once more (SEEN with 0.5.17). In a folder nothing else tells that a flipped bit makes
 * a single one earlier than it was, and where something merged ends with it, nobody reads it to the end.
 */
async function refuseLater(history: History, txid: number, at: Date): Promise<void> {
  const { store, files } = history;
  const ending = files.filter(({ level, max }) => max === txid && level !== levels.at(-1));
  const headers = await pMap(ending, (file) => readHeader(store, file), { concurrency: batch });
  const times = headers.map((header) => (typeof header === 'string' ? undefined : header.takenAt));
  if (!times.some((time) => time && time > at)) return;
  const earlier = ending.find((_, index) => (times[index] ?? at) <= at);
  const key = earlier?.key ?? history.key;
  const without = files.filter((file) => file !== earlier);
  throw damaged(key, filesFor(without, txid).missing === undefined);
}

/** The level that a history begins with: single transactions age out, and then it is a snapshot. */
const startOf = (files: readonly HistoryFile[]): number =>
  files.some(({ level, min }) => level === 0 && min <= 2) ? 0 : (levels.at(-1) ?? 0);

/** Litestream says only that some file is too short. */
function refuseDamaged(history: History, needed: readonly HistoryFile[], txid: number): void {
  const short = needed.find(({ bytes }) => bytes < headerBytes);
  if (!short) return;
  const without = history.files.filter((file) => file !== short);
  throw damaged(short.key, filesFor(without, txid).missing === undefined);
}

/** @param spare whether other objects hold the same transactions */
export const damaged = (key: string, spare = false): OperatorError =>
  new OperatorError(`The object ${key} in the replica is damaged.`, {
    next: spare
      ? 'Other objects hold the same: move this one away in the storage and run the command again.'
      : 'Choose an earlier time, or one after the next snapshot: fossilrepo backup list shows both.',
    exit: 'check',
  });

function lost(history: History, txid: number): OperatorError {
  return new OperatorError(
    `The object ${nameOfLost(history, txid)} is missing from the replica: the state at that time can't be known.`,
    {
      next: 'Choose an earlier time, or one after the next snapshot: fossilrepo backup list shows both.',
      exit: 'check',
    },
  );
}

/**
 * What ought to hold a transaction that nothing holds: itself, or once the single ones have aged out the first merging of them. That one
 * begins behind the one before it; how far it went is known no more.
 */
function nameOfLost({ files, ...place }: History, txid: number): string {
  const top = levels.at(-1) ?? 0;
  const single = `${levelKey(place, 0)}${hexTxid(txid)}-${hexTxid(txid)}.ltx`;
  const merged = files.filter(({ level }) => level === 1);
  if (txid === 1) return startOf(files) === 0 ? single : `${levelKey(place, top)}${hexTxid(1)}-….ltx`;
  const kept = files.some(({ level, max }) => level === 0 && max < txid);
  const within = merged.some(({ min, max }) => min <= txid && max >= txid);
  if (kept || within || merged.length === 0) return single;
  const before = merged.findLast(({ max }) => max < txid);
  const first =
    before === undefined ? `… with transaction ${hexTxid(txid)}` : `${hexTxid(before.max + 1)}-….ltx`;
  return `${levelKey(place, 1)}${first}`;
}

async function tooEarly({ store, files }: History, at: Date | undefined): Promise<OperatorError> {
  const starts = files.filter(({ min, bytes }) => min === 1 && bytes >= headerBytes);
  const headers = await pMap(starts, (file) => readHeader(store, file), { concurrency: batch });
  const times = headers.flatMap((header) => (typeof header === 'string' ? [] : [header.takenAt.getTime()]));
  const from = times.length === 0 ? undefined : new Date(Math.min(...times));
  const to = new Date(files.reduce((last, { modified }) => Math.max(last, modified.getTime()), 0));
  return new OperatorError(
    `There is no state of ${at === undefined ? 'it' : showInstant(at)} in the replica.`,
    {
      next:
        from === undefined
          ? 'Nothing in it is whole: see fossilrepo backup status.'
          : `It can be restored from ${showInstant(from)} to now (last change: ${showInstant(to)}).`,
      exit: 'usage',
    },
  );
}

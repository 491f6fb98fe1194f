import { statSync } from 'node:fs';
import { readPiece } from '../system/files.ts';
import type { RecordLock } from '../system/record-locks.ts';
import { headerBytes } from './history.ts';
import { takenOut } from './taken-out.ts';

/**
 * SQLite's locks on a `-shm` file that keep readers' part of the write-ahead log from being written over: bytes 123 to 127, one for each
 * of five marks (walIndex locks in wal.c, UNIX_SHM_BASE in os_unix.c).
 */
const marks = { first: 123, last: 127 };

/**
 * Databases that Litestream replicates without holding a read transaction in them. Every Fossil process writes the log into the database
 * when it closes it (db_close in db.c), and then the next writer begins the log anew: only a reader keeps that from happening before
 * Litestream has seen what is in it. Litestream notices some of what it missed that way, not all.
 * @param locks where they show none of the process at all, nothing can be said
 */
export function unguarded(files: readonly string[], pid: number, locks: readonly RecordLock[]): string[] {
  const held = new Map<number, boolean>();
  for (const { mode, pid: owner, inode, bytes } of locks) {
    if (owner !== pid || mode !== 'READ') continue;
    const marked = bytes[0] <= marks.last && bytes[1] >= marks.first;
    held.set(inode, marked || held.get(inode) === true);
  }
  if (held.size === 0) return [];
  return files.filter((file) => {
    const inode = statIfThere(`${file}-shm`)?.ino;
    return inode !== undefined && held.get(inode) !== true;
  });
}

/**
 * Whether a database's log was begun anew while Litestream was away, so that it can't know whether it has seen the end of the former one.
 * A log that was made since is fine: Litestream then sends the whole database.
 * @param started when Litestream was started
 */
export function lostTrack(file: string, started: Date): boolean {
  const log = statIfThere(`${file}-wal`);
  if (log === undefined || log.size < 32 || log.birthtimeMs >= started.getTime()) return false;
  const seen = lastSeen(file, started);
  return seen !== undefined && !seen.equals(readPiece(`${file}-wal`, 16, 8));
}

/** Which log the last transaction that Litestream took before an instant was in: its two salts. */
function lastSeen(file: string, before: Date): Buffer | undefined {
  for (const taken of takenOut(file).toReversed()) {
    const header = readPiece(taken, 0, headerBytes);
    if (header.length === headerBytes && Number(header.readBigUInt64BE(32)) < before.getTime())
      return header.subarray(64, 72);
  }
  return undefined;
}

const statIfThere = (path: string) => statSync(path, { throwIfNoEntry: false });

import { existsSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { isBusy, OperatorError } from '../errors.ts';
import { locksOn, recordLocks } from '../system/record-locks.ts';
import { asOperatorError, openRepository } from './open.ts';

/** How long a repository may stay in use after its name was closed: Fossil's longest request. Milliseconds. */
const patience = 120_000;

/** The byte of a `-shm` file that each connection to its database has a lock on (UNIX_SHM_DMS in SQLite's os_unix.c). */
const connected = 128;

/**
 * Waits until one process alone is connected to a database in WAL mode.
 * @param pid of that process; where no lock of it is to be seen, nothing can be said and nobody is waited for
 * @throws OperatorError (busy) when somebody keeps it open
 */
export async function waitForOthers(file: string, pid: number, wait = patience): Promise<void> {
  let alone = 0;
  // The kernel tells of its locks in pieces, and one may be missing: what is free is free twice.
  await untilFree(file, wait, () => (alone = isAlone(file, pid) ? alone + 1 : 0) === 2);
}

/**
 * Waits until nobody is connected to a database that may be gone or damaged: SQLite can't be asked, its locks can.
 * @throws OperatorError (busy) when somebody keeps it open
 */
export async function waitForAll(file: string, wait = patience): Promise<void> {
  await untilFree(file, wait, () => {
    const locks = recordLocks();
    return [file, `${file}-shm`].every((one) => {
      const there = statSync(one, { throwIfNoEntry: false });
      return there === undefined || locksOn(locks, there).length === 0;
    });
  });
}

function isAlone(file: string, pid: number): boolean {
  const shm = statSync(`${file}-shm`, { throwIfNoEntry: false });
  if (shm === undefined) return true;
  const owners = locksOn(recordLocks(), shm)
    .filter(({ bytes }) => bytes[0] <= connected && bytes[1] >= connected)
    .map((lock) => lock.pid);
  return !owners.includes(pid) || owners.every((owner) => owner === pid);
}

/**
 * Waits until nobody has the database open and makes it one file: SQLite leaves WAL mode only for whoever is alone with the file, so
 * that success is the proof. The next opener (Litestream) puts it into WAL mode again.
 * @throws OperatorError (busy) when somebody keeps it open
 */
export async function drainDatabase(file: string, wait = patience): Promise<void> {
  await untilFree(file, wait, () => tryAlone(file));
}

async function untilFree(file: string, wait: number, isFree: () => boolean): Promise<void> {
  const deadline = Date.now() + wait;
  while (!isFree()) {
    if (Date.now() >= deadline)
      throw new OperatorError(`${file} is still in use after ${Math.round(wait / 1000)} s.`, {
        next: `See by whom: fuser -v ${file}. Then run the command again.`,
        exit: 'busy',
      });
    await sleep(20);
  }
}

function tryAlone(file: string): boolean {
  let database: DatabaseSync | undefined;
  try {
    database = openRepository(file, { readOnly: false, timeout: 0 });
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const mode = database.prepare('PRAGMA journal_mode = DELETE').get();
    return mode?.['journal_mode'] === 'delete' && !existsSync(`${file}-wal`);
  } catch (error) {
    // Who closes it last, or leaves its log, has it alone for a moment.
    if (isBusy(asOperatorError(file, error))) return false;
    throw error;
  } finally {
    database?.close();
  }
}

/** Moves the write-ahead log into the database and empties it. @throws OperatorError (busy) when somebody reads or writes for long */
export function foldLog(file: string): void {
  const database = openRepository(file, { readOnly: false, timeout: 5_000 });
  try {
    const answer = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
    if (answer?.['busy'] !== 0)
      throw new OperatorError(`${file} is in use.`, { next: 'It is tried again by itself.', exit: 'busy' });
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

import { existsSync, lchownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';

/**
 * `changes`: whoever changes the server or a repository. `loop`: one `serve` a server. `canary`: its clone. `verify`: the room for restored
 * states. `export-ID`: a repository's Git side. `push-ID`: a mirror. `pull-ID`: a repository's upstream.
 */
export type LockName =
  'changes' | 'loop' | 'up' | 'canary' | 'verify' | `export-${string}` | `push-${string}` | `pull-${string}`;

/**
 * Does `work` while holding a lock of the kernel's (an exclusive SQLite transaction), which a killed holder never leaves behind.
 * @param wait milliseconds to wait for another holder
 * @throws OperatorError (busy) naming the holder
 */
export async function withLock<T>(
  paths: Paths,
  name: LockName,
  wait: number,
  work: () => Promise<T>,
): Promise<T> {
  using held = await hold(join(paths.locks, `${name}.lock`), 'alone', wait);
  const holder = join(paths.locks, `${name}.holder`);
  if (!held)
    throw new OperatorError(`Another fossilrepo is at work: ${holderOf(holder)}.`, {
      next: 'Wait until it is done and run the command again.',
      exit: 'busy',
    });
  writeFileSync(holder, `${withoutPasswords(process.argv.slice(2).join(' '))} (process ${process.pid})`);
  belongsToFolder(paths.locks, holder);
  return await work();
}

/** How a lock is held: by one alone, or by any number who share it. */
type Way = 'alone' | 'shared';

/**
 * Takes a lock of the kernel's on a file of its own, which is made when it isn't there.
 * @returns what gives it back; undefined when somebody has it, or the file's folder is gone
 */
export function tryHold(file: string, way: Way = 'alone'): Disposable | undefined {
  let database: DatabaseSync | undefined;
  let held = false;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    belongsToFolder(dirname(file), file);
    held = tryLock(database, way);
  } catch (error) {
    if (existsSync(dirname(file))) throw error;
  } finally {
    if (!held && database?.isOpen) database.close();
  }
  return held ? { [Symbol.dispose]: () => database?.close() } : undefined;
}

/** The same, having waited for others; the folder is made when it isn't there. @param wait milliseconds */
export async function hold(file: string, way: Way, wait: number): Promise<Disposable | undefined> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const deadline = performance.now() + wait;
  for (;;) {
    const held = tryHold(file, way);
    if (held !== undefined || performance.now() >= deadline) return held;
    await sleep(25);
  }
}

/** An address on a command line may hold a login's password. */
const withoutPasswords = (text: string): string => text.replaceAll(/(:\/\/)[^/\s]*@/g, '$1');

/** SQLite's own: a transaction that reads keeps others from an exclusive one, and is kept out by it. */
const begin: Record<Way, string> = {
  alone: 'BEGIN EXCLUSIVE',
  shared: 'BEGIN; SELECT 1 FROM sqlite_schema',
};

function tryLock(database: DatabaseSync, way: Way): boolean {
  try {
    database.exec(begin[way]);
    return true;
  } catch (error) {
    if (error instanceof Error && /locked/.test(error.message)) return false;
    throw error;
  }
}

/** Root's lock must be one that the service user can take next. */
function belongsToFolder(folder: string, file: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  lchownSync(file, uid, gid);
}

function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return 'it has not said what it does';
  }
}

import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { hold } from '../system/locks.ts';
import { ControlError } from './control-socket.ts';

/**
 * Keeps those who have Litestream send a database apart from those who have it let go of it. A request to send that waits while the database is
 * closed opens it again behind everybody's back (0.5.17: SyncDB in its store.go holds nothing of what it found, and init in db.go opens what
 * Close has closed), and nobody can close that one. Once the file is replicated again, the process has it open twice, and letting go of it
 * once more takes away both locks (fcntl(2): with any of a process's descriptors): the next Fossil that ends removes the log under
 * Litestream, which from then on says that a whole database is malformed.
 * @param wait for those who let go of it, in milliseconds
 * @throws ControlError `slow` when they take longer
 */
export async function whileSending<T>(
  at: At,
  file: string,
  wait: number,
  work: () => Promise<T>,
): Promise<T> {
  using held = await hold(lockOf(at, file), 'shared', wait);
  if (held) return await work();
  throw new ControlError(
    'slow',
    `Litestream is letting go of ${file}.`,
    'Run the command again in a moment; see fossilrepo status.',
  );
}

/** For so long letting go waits for those who send: each is past the moment that matters within milliseconds, unless it hangs. Milliseconds. */
const patience = 5_000;

/** Once nobody has the database sent, and until it is let go of. Who sends for long, or is stopped while it does, keeps nobody from it. */
export async function whileLettingGo<T>(at: At, file: string, work: () => Promise<T>): Promise<T> {
  const held = await hold(lockOf(at, file), 'alone', patience);
  try {
    return await work();
  } finally {
    held?.[Symbol.dispose]();
  }
}

type At = Pick<Paths, 'locks'>;

function lockOf({ locks }: At, file: string): string {
  mkdirSync(locks, { recursive: true, mode: 0o770 });
  return join(locks, `send-${basename(file)}.lock`);
}

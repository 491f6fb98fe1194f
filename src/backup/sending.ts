import { basename, join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { hold, tryHold } from '../system/locks.ts';
import { ControlError } from './control-socket.ts';

/**
 * Keeps those who have Litestream send a database apart from those who have it let go of it. A request to send that waits while the database is
 * closed opens it again behind everybody's back (0.5.17: SyncDB in its store.go holds nothing of what it found, and init in db.go opens what
 * Close has closed), and nobody can close that one. Once the file is replicated again, the process has it open twice, and letting go of it
 * once more takes away both locks (fcntl(2): with any of a process's descriptors): the next Fossil that ends removes the log under
 * Litestream, which from then on says that a whole database is malformed.
 * Who lets go closes the gate to those who come, and waits for those who have passed it.
 * @param wait for those who let go of it, in milliseconds
 * @throws ControlError `slow` when they take longer
 */
export async function whileSending<T>(
  at: At,
  file: string,
  wait: number,
  work: () => Promise<T>,
): Promise<T> {
  using held = await passGate(locksOf(at, file), wait);
  if (held) return await work();
  throw new ControlError(
    'slow',
    `Litestream is letting go of ${file}.`,
    'Run the command again in a moment; see fossilrepo status.',
  );
}

async function passGate({ gate, inside }: Locks, wait: number): Promise<Disposable | undefined> {
  using passing = await hold(gate, 'shared', wait);
  return passing && tryHold(inside, 'shared');
}

/** For so long letting go waits for those who send: each is past the moment that matters within milliseconds, unless it hangs. Milliseconds. */
const patience = 5_000;

/** Once nobody has the database sent, and until it is let go of. Who sends for long, or is stopped while it does, keeps nobody from it. */
export async function whileLettingGo<T>(at: At, file: string, work: () => Promise<T>): Promise<T> {
  const { gate, inside } = locksOf(at, file);
  const closed = await hold(gate, 'alone', patience);
  const alone = await hold(inside, 'alone', patience);
  try {
    return await work();
  } finally {
    alone?.[Symbol.dispose]();
    closed?.[Symbol.dispose]();
  }
}

type At = Pick<Paths, 'locks'>;
type Locks = { gate: string; inside: string };

function locksOf({ locks }: At, file: string): Locks {
  const name = join(locks, `send-${basename(file)}`);
  return { gate: `${name}.gate`, inside: `${name}.lock` };
}

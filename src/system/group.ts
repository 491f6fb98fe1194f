import type { Readable } from 'node:stream';

/** What is watched of a child that leads a process group. */
export type Leader = {
  pid?: number | undefined;
  stdout: Readable | null;
  stderr: Readable | null;
};

/** Why a group was ended before its own end. */
export type Cut = 'took too long' | 'stopped';

/** Milliseconds until what ignores SIGTERM gets SIGKILL. */
const patience = 3_000;

/**
 * Ends a whole process group at a deadline, after a silence, when `signal` aborts, and with this process (but for SIGKILL).
 * @param limits.timeout milliseconds in all @param limits.quiet milliseconds without output
 * @returns to be called when the leader has ended: says why the group was ended, if it was, and leaves nothing of it
 */
export function watchGroup(
  { pid, stdout, stderr }: Leader,
  limits: { timeout: number; quiet?: number; signal?: AbortSignal | undefined },
): () => Cut | undefined {
  let why: Cut | undefined;
  let force: NodeJS.Timeout | undefined;
  const end = (reason: Cut): void => {
    if (why !== undefined) return;
    why = reason;
    kill(pid, 'SIGTERM');
    force = setTimeout(() => kill(pid, 'SIGKILL'), patience);
  };
  const late = (): void => end('took too long');
  const stop = (): void => end('stopped');

  const total = setTimeout(late, limits.timeout);
  const silence = limits.quiet === undefined ? undefined : setTimeout(late, limits.quiet);
  const heard = (): void => void silence?.refresh();
  stdout?.on('data', heard);
  stderr?.on('data', heard);
  if (limits.signal?.aborted) stop();
  limits.signal?.addEventListener('abort', stop);
  if (pid !== undefined) follow(pid);

  return () => {
    for (const timer of [total, silence, force]) clearTimeout(timer);
    limits.signal?.removeEventListener('abort', stop);
    if (pid !== undefined) unfollow(pid);
    // The leader went at the first signal; what it started may have not.
    if (why !== undefined) kill(pid, 'SIGKILL');
    return why;
  };
}

/** Groups that must not outlive this process. */
const followed = new Set<number>();
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const endAll = (): void => {
  for (const leader of followed) kill(leader, 'SIGKILL');
};

function dieWithThem(signal: NodeJS.Signals): void {
  // Whoever else listens decides what the signal means.
  if (process.listenerCount(signal) > 1) return;
  endAll();
  process.removeListener(signal, dieWithThem);
  process.kill(process.pid, signal);
}

/** A group of its own gets neither the terminal's Ctrl-C nor what ends this process. */
function follow(leader: number): void {
  if (followed.size === 0) {
    process.on('exit', endAll);
    for (const signal of signals) process.on(signal, dieWithThem);
  }
  followed.add(leader);
}

function unfollow(leader: number): void {
  followed.delete(leader);
  if (followed.size > 0) return;
  process.removeListener('exit', endAll);
  for (const signal of signals) process.removeListener(signal, dieWithThem);
}

function kill(leader: number | undefined, signal: NodeJS.Signals): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, signal);
  } catch {
    // It is gone already.
  }
}

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

/** A program that leads a process group of its own. */
export type Group<Child> = {
  child: Child;
  /** Ends it, with all that it has started. */
  stop: () => void;
  /** To be called when the leader has ended: says why the group was ended, if it was, and leaves nothing of it. */
  over: () => Cut | undefined;
};

/**
 * Begins a program whose whole process group ends at a deadline, after a silence, when `signal` aborts, and with this process (but for
 * SIGKILL).
 * @param begin starts it; detached, so that it leads its group
 * @param limits.timeout milliseconds in all @param limits.quiet milliseconds without output, until it printed `limits.quietUntil`
 */
export function inGroup<Child extends Leader>(
  begin: () => Child,
  limits: { timeout: number; quiet?: number; quietUntil?: string; signal?: AbortSignal | undefined },
): Group<Child> {
  // Before it begins: what ends this process meanwhile is heard afterwards.
  listen();
  const child = begin();
  const { pid, stdout, stderr } = child;
  if (pid === undefined) unlisten();
  else followed.add(pid);

  let why: Cut | undefined;
  let ended = false;
  let force: NodeJS.Timeout | undefined;
  const end = (reason: Cut): void => {
    if (ended || why !== undefined) return;
    why = reason;
    kill(pid, 'SIGTERM');
    force = setTimeout(() => kill(pid, 'SIGKILL'), patience);
  };
  const late = (): void => end('took too long');
  const stop = (): void => end('stopped');

  const total = setTimeout(late, limits.timeout);
  let silence = limits.quiet === undefined ? undefined : setTimeout(late, limits.quiet);
  const heard = (text: Buffer): void => {
    const alone = limits.quietUntil !== undefined && text.includes(limits.quietUntil);
    if (!alone) return void silence?.refresh();
    clearTimeout(silence);
    silence = undefined;
  };
  if (silence !== undefined) for (const output of [stdout, stderr]) output?.on('data', heard);
  if (limits.signal?.aborted) stop();
  limits.signal?.addEventListener('abort', stop);

  const over = (): Cut | undefined => {
    ended = true;
    for (const timer of [total, silence, force]) clearTimeout(timer);
    limits.signal?.removeEventListener('abort', stop);
    if (pid !== undefined && followed.delete(pid)) unlisten();
    // The leader went at the first signal; what it started may have not.
    if (why !== undefined) kill(pid, 'SIGKILL');
    return why;
  };
  return { child, stop, over };
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
function listen(): void {
  if (process.listeners('exit').includes(endAll)) return;
  process.on('exit', endAll);
  for (const signal of signals) process.on(signal, dieWithThem);
}

function unlisten(): void {
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

import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { OperatorError } from '../errors.ts';
import { inGroup } from './group.ts';
import { cleanEnvironment, type Command } from './run.ts';

/** A program at work, whose input or output is too large to be held. */
export type Running = {
  input: Writable;
  output: Readable;
  pid: number | undefined;
  /** Settles when it has ended and its output was closed. @throws ProgramFailed, also when it was stopped */
  ended: Promise<void>;
  /** Ends it, with all that it has started. */
  stop: () => void;
};

/** A program that did not end well. */
export class ProgramFailed extends OperatorError {
  /** What killed it, or null when it ended itself. */
  readonly killedBy: NodeJS.Signals | null;
  /** The last of what it wrote to standard error. */
  readonly said: string;

  constructor(
    argv: readonly string[],
    ended: { how: string; killedBy: NodeJS.Signals | null; said: string },
  ) {
    super(`${argv.slice(0, 3).join(' ')} ${ended.how}${ended.said && `:\n${ended.said}`}`);
    this.killedBy = ended.killedBy;
    this.said = ended.said;
  }
}

/** Milliseconds. */
const aDay = 24 * 3_600_000;

/** How much of what a program says is kept. Bytes. */
const kept = 4_096;

/**
 * Starts a program in a process group of its own, to be written to and read from while it runs. Like `run` it gets a clean environment, and
 * is ended after `timeout` (a day unless told).
 * @param signal ends it, too
 */
export function start(command: Omit<Command, 'input' | 'accept'>, signal?: AbortSignal): Running {
  const [file, ...args] = command.argv;
  signal?.throwIfAborted();
  const { child, stop, over } = inGroup(
    () =>
      spawn(file, args, {
        env: cleanEnvironment(command.env),
        detached: true,
        stdio: 'pipe',
        ...(command.cwd !== undefined && { cwd: command.cwd }),
        ...(command.as !== undefined && { uid: command.as.uid, gid: command.as.gid }),
      }),
    { timeout: command.timeout ?? aDay, signal },
  );
  let said = Buffer.alloc(0);
  child.stderr.on('data', (piece: Buffer) => (said = Buffer.concat([said, piece]).subarray(-kept)));
  // What can't be written is told by how the program ended.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve, reject) => {
    const failed = (how: string, killedBy: NodeJS.Signals | null = null) =>
      reject(new ProgramFailed(command.argv, { how, killedBy, said: said.toString().trim() }));
    child.once('error', (error) => failed(`could not run (${error.message})`));
    child.once('close', (code, killedBy) => {
      const cut = over();
      if (cut !== undefined) failed(cut, killedBy ?? 'SIGTERM');
      else if (code === 0) resolve();
      else failed(killedBy === null ? `answered ${code}` : `was killed (${killedBy})`, killedBy);
    });
  });
  // It is awaited after its streams; until then a failure is not unhandled.
  ended.catch(() => undefined);
  return { input: child.stdin, output: child.stdout, pid: child.pid, ended, stop };
}

import { OperatorError } from '../errors.ts';
import { type Cut, inGroup } from './group.ts';

/** A program to run, as data: `programs/` makes them, `run` starts them. Never a shell string, never a secret in `argv`. */
export type Command = {
  argv: readonly [string, ...string[]];
  /** Added to a small, clean environment: nothing of the operator's own reaches a program. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Written to standard input, which is otherwise empty. The way for secrets. */
  input?: string;
  /** Milliseconds; then the program is ended. */
  timeout?: number;
  /** Exit codes that are answers, not failures. */
  accept?: readonly number[];
  /** A session of its own, so that a program that asks on the terminal reads standard input instead. */
  detached?: boolean;
  /** Numeric user and group to run as; only root can. */
  as?: { uid: number; gid: number };
  /** A process group of its own, so that a deadline or `signal` ends what the program started, too. */
  group?: boolean;
  /** With `group`: milliseconds without any output, then it is ended. */
  quiet?: number;
  /** With `quiet`: part of what it prints when it needs nobody else any more; from then on it may be silent. */
  quietUntil?: string;
  /** With `group`: ends it when aborted. */
  signal?: AbortSignal | undefined;
};

export type Ran = { stdout: string; stderr: string; code: number };

/** Why a program did not answer as it should: an exit code of its own, or that it was ended (`took too long`, `stopped`), or never began. */
export type Ended = 'answered' | Cut | 'could not run';

/** A program that failed. The message holds its command line and the end of what it said. */
export class CommandError extends OperatorError {
  override name = 'CommandError';
  readonly ended: Ended;
  /** All that it wrote to standard error. */
  readonly stderr: string;

  constructor(message: string, ended: Ended, stderr: string) {
    super(message);
    this.ended = ended;
    this.stderr = stderr;
  }
}

/** Runs a program to its end. @throws CommandError when it can't be started, takes too long or answers with another exit code. */
export type Run = (command: Command) => Promise<Ran>;

const inherited = [
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'TMPDIR',
  'SSL_CERT_FILE',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  // What `fossilrepo up` finds its server's processes by; see stack/leftovers.ts.
  'FOSSILREPO_UP',
] as const;

/** The environment that programs get: what they need to find files and the network, nothing that changes what they do. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = inherited.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...extra };
}

export const run: Run = async (command) => {
  const { execa } = await import('execa');
  const [file, ...args] = command.argv;
  const timeout = command.timeout ?? 600_000;
  const options = {
    env: cleanEnvironment(command.env),
    extendEnv: false,
    input: command.input ?? '',
    reject: false,
    ...(command.group !== true && { timeout }),
    forceKillAfterDelay: 3_000,
    detached: command.detached ?? command.group ?? false,
    ...(command.cwd !== undefined && { cwd: command.cwd }),
    ...(command.as !== undefined && { uid: command.as.uid, gid: command.as.gid }),
  } as const;
  const group =
    command.group === true ? inGroup(() => execa(file, args, options), { ...command, timeout }) : undefined;
  const result = await (group?.child ?? execa(file, args, options));
  const cut = group?.over();
  const accepted = [0, ...(command.accept ?? [])];
  if (cut === undefined && result.exitCode !== undefined && accepted.includes(result.exitCode))
    return { stdout: result.stdout, stderr: result.stderr, code: result.exitCode };
  const ended =
    cut ?? (result.timedOut ? 'took too long' : result.exitCode === undefined ? 'could not run' : 'answered');
  const why =
    ended === 'could not run'
      ? `could not run (${result.code ?? result.signal ?? 'unknown'})`
      : ended === 'answered'
        ? `answered ${result.exitCode}`
        : ended;
  const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-8).join('\n');
  throw new CommandError(`${[file, ...args].join(' ')} ${why}${said && `:\n${said}`}`, ended, result.stderr);
};

/** Runs a program that talks to the terminal itself, until it ends or is interrupted. */
export async function pass(command: Pick<Command, 'argv' | 'env'>): Promise<number> {
  const { execa } = await import('execa');
  const [file, ...args] = command.argv;
  const result = await execa(file, args, {
    env: cleanEnvironment(command.env),
    extendEnv: false,
    stdio: ['ignore', 'inherit', 'inherit'],
    reject: false,
  });
  return result.exitCode ?? 130;
}

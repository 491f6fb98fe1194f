import { OperatorError } from '../errors.ts';

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
};

export type Ran = { stdout: string; stderr: string; code: number };

/** Runs a program to its end. @throws OperatorError when it can't be started, takes too long or answers with another exit code. */
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
  const result = await execa(file, args, {
    env: cleanEnvironment(command.env),
    extendEnv: false,
    input: command.input ?? '',
    reject: false,
    timeout: command.timeout ?? 600_000,
    forceKillAfterDelay: 3_000,
    detached: command.detached ?? false,
    ...(command.cwd !== undefined && { cwd: command.cwd }),
    ...(command.as !== undefined && { uid: command.as.uid, gid: command.as.gid }),
  });
  const accepted = [0, ...(command.accept ?? [])];
  if (result.exitCode !== undefined && accepted.includes(result.exitCode))
    return { stdout: result.stdout, stderr: result.stderr, code: result.exitCode };
  const why = result.timedOut
    ? 'took too long'
    : result.exitCode === undefined
      ? `could not run (${result.code ?? result.signal ?? 'unknown'})`
      : `answered ${result.exitCode}`;
  const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-8).join('\n');
  throw new OperatorError(`${[file, ...args].join(' ')} ${why}${said && `:\n${said}`}`);
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

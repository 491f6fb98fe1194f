import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { programHome } from '../../src/config/paths.ts';
import { readUp } from '../../src/stack/foreground.ts';
import type { PartName } from '../../src/stack/parts.ts';
import { freePorts } from './ports.ts';
import type { S3 } from './s3.ts';
import { openTerminal } from './terminal.ts';

/** An ordinary user for tests that are run as root; no such user has to exist. */
const ordinary = 24_001;
/** One that exists everywhere: ssh does nothing for a user without an entry in /etc/passwd. */
export const nobody = 65_534;

export type Said = { stdout: string; stderr: string; code: number | null };

/** A whole server below a folder, kept running by `fossilrepo up` of an ordinary user. */
export type TestForge = Awaited<ReturnType<typeof startForge>>;

/**
 * @param options.config keys of fossilrepo.yaml besides ports and replica
 * @param options.env what its user has in the environment besides
 */
export async function startForge(
  options: {
    s3?: S3;
    config?: object;
    up?: boolean;
    env?: Readonly<Record<string, string>>;
    /** The bare folder of a server that does not know yet what it will be. */
    bare?: boolean;
    /** How long it may take until it is up. Milliseconds. */
    patience?: number;
    /** The user that it runs as, when the test is root's. */
    as?: number;
  } = {},
) {
  const asUser = asForgesUser(options.as);
  const root = mkdtempSync(join(tmpdir(), 'forge-'));
  const [http, https, repositories, fossil, ask] = await freePorts(5);
  const replica = options.s3
    ? { url: `s3://${options.s3.bucket}/forge`, endpoint: options.s3.endpoint }
    : undefined;
  mkdirSync(join(root, 'etc/fossilrepo/secrets'), { recursive: true });
  const config = {
    ports: { http, https, repositories, fossil, ask },
    ...(replica && { replica }),
    ...options.config,
  };
  if (!options.bare) writeFileSync(join(root, 'etc/fossilrepo/fossilrepo.yaml'), stringify(config));
  if (options.s3 && !options.bare)
    writeFileSync(
      join(root, 'etc/fossilrepo/secrets/storage'),
      `[default]\naws_access_key_id = ${options.s3.accessKeyId}\naws_secret_access_key = ${options.s3.secretAccessKey}\n`,
      { mode: 0o600 },
    );
  if (process.getuid?.() === 0) giveAway(root, options.as ?? ordinary);

  let child: ChildProcess | undefined;
  let log = '';

  /** @param command what keeps running: `up`, or an install that ends in it */
  const start = async (...command: string[]): Promise<void> => {
    child = launch(asUser, ['--root', root, ...(command.length > 0 ? command : ['up'])], root, options.env);
    let up = '';
    child.stderr?.on('data', (piece: Buffer) => (log += piece.toString()));
    child.stdout?.on('data', (piece: Buffer) => (up += piece.toString()));
    for (let waited = 0; !up.includes('Next:'); waited += 100) {
      if (child.exitCode !== null || child.signalCode !== null || waited > (options.patience ?? 60_000))
        throw new Error(`up did not come up:\n${log}${up}`);
      await sleep(100);
    }
    log += up;
  };
  const stop = async (signal: NodeJS.Signals = 'SIGINT'): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  if (options.up !== false && !options.bare) await start();

  /** Runs a command of fossilrepo as the server's user. */
  const cli = async (...args: string[]): Promise<Said> =>
    finish(launch(asUser, ['--root', root, ...args], root, options.env));

  /** The same with something on standard input. */
  const told = async (input: string, ...args: string[]): Promise<Said> =>
    finish(launch(asUser, ['--root', root, ...args], root, options.env, input));

  /** Runs a command with a person at its terminal. @param args none of them needs quoting */
  const person = (...args: string[]) =>
    openTerminal(asUser, [join(programHome, 'bin/fossilrepo'), '--root', root, ...args].join(' '), {
      env: environmentOf(root, options.env),
      cwd: root,
    });

  const cutShort = async (signal: NodeJS.Signals, after: number, args: string[]): Promise<Said> => {
    const child = launch(asUser, ['--root', root, ...args], root, options.env);
    const said = finish(child);
    await Promise.race([said, sleep(after)]);
    child.kill(signal);
    return said;
  };

  return {
    root,
    ports: {
      http: Number(http),
      https: Number(https),
      repositories: Number(repositories),
      fossil: Number(fossil),
    },
    start,
    stop,
    cli,
    told,
    person,
    /** Kills a command some milliseconds after its start. */
    killed: (after: number, ...args: string[]): Promise<Said> => cutShort('SIGKILL', after, args),
    /** Asks a command to end, as Ctrl-C or systemd does. */
    stopped: (after: number, ...args: string[]): Promise<Said> => cutShort('SIGTERM', after, args),
    /** The result of a command that has to succeed, as JSON. */
    json: async <T>(...args: string[]): Promise<T> => {
      const said = await cli('--json', ...args);
      if (said.code !== 0)
        throw new Error(`fossilrepo ${args.join(' ')} answered ${said.code}:\n${said.stderr}${said.stdout}`);
      return JSON.parse(said.stdout) as T;
    },
    log: () => log,
    pidOf: (part: PartName): number => {
      const pid = readUp({ up: join(root, 'run/fossilrepo/up.json') })?.parts[part]?.pid;
      if (pid === undefined) throw new Error(`${part} does not run`);
      return pid;
    },
    process: () => child,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function launch(
  asUser: readonly string[],
  args: string[],
  root: string,
  more: Readonly<Record<string, string>> = {},
  input?: string,
): ChildProcess {
  const command = [join(programHome, 'bin/fossilrepo'), ...args];
  const [file = '', ...rest] = [...asUser, ...command];
  const child = spawn(file, rest, {
    env: environmentOf(root, more),
    cwd: root,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(input);
  return child;
}

const environmentOf = (home: string, more: Readonly<Record<string, string>> = {}) => ({
  PATH: process.env['PATH'],
  HOME: home,
  FOSSILREPO_CACHE: join(tmpdir(), `fossilrepo-cache-${ordinary}`),
  NO_COLOR: '1',
  ...more,
});

async function finish(child: ChildProcess): Promise<Said> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (piece: Buffer) => (stdout += piece.toString()));
  child.stderr?.on('data', (piece: Buffer) => (stderr += piece.toString()));
  await once(child, 'close');
  return { stdout, stderr, code: child.exitCode };
}

function giveAway(root: string, user: number): void {
  for (const path of [
    '',
    'etc',
    'etc/fossilrepo',
    'etc/fossilrepo/secrets',
    'etc/fossilrepo/fossilrepo.yaml',
    'etc/fossilrepo/secrets/storage',
  ])
    try {
      chownSync(join(root, path), user, user);
    } catch {
      // Only a forge with S3 has storage keys.
    }
  chmodSync(root, 0o755);
}

/** What runs a program as the user that forges run as in tests; to be put in front of its own words. */
export const asForgesUser = (user = ordinary): readonly string[] =>
  process.getuid?.() === 0
    ? ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs', '--']
    : [];

/** Tries again until it succeeds. @returns how long it took, in milliseconds */
export async function eventually(
  work: () => Promise<boolean> | boolean,
  within: number,
  what: string,
): Promise<number> {
  const started = performance.now();
  for (;;) {
    if (await work()) return performance.now() - started;
    if (performance.now() - started > within) throw new Error(`not within ${within} ms: ${what}`);
    await sleep(50);
  }
}

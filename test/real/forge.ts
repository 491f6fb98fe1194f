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

/** An ordinary user for tests that are run as root; no such user has to exist. */
const ordinary = 24_001;

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
  } = {},
) {
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
  if (process.getuid?.() === 0) giveAway(root);

  let child: ChildProcess | undefined;
  let log = '';

  /** @param command what keeps running: `up`, or an install that ends in it */
  const start = async (...command: string[]): Promise<void> => {
    child = launch(['--root', root, ...(command.length > 0 ? command : ['up'])], root, options.env);
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
    finish(launch(['--root', root, ...args], root, options.env));

  /** Kills a command some milliseconds after its start. */
  const killed = async (after: number, ...args: string[]): Promise<Said> => {
    const child = launch(['--root', root, ...args], root, options.env);
    const said = finish(child);
    await Promise.race([said, sleep(after)]);
    child.kill('SIGKILL');
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
    killed,
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

function launch(args: string[], root: string, more: Readonly<Record<string, string>> = {}): ChildProcess {
  const command = [join(programHome, 'bin/fossilrepo'), ...args];
  const asUser =
    process.getuid?.() === 0
      ? [
          'setpriv',
          `--reuid=${ordinary}`,
          `--regid=${ordinary}`,
          '--clear-groups',
          '--no-new-privs',
          '--',
          ...command,
        ]
      : command;
  const [file = '', ...rest] = asUser;
  const env = {
    PATH: process.env['PATH'],
    HOME: root,
    FOSSILREPO_CACHE: join(tmpdir(), `fossilrepo-cache-${ordinary}`),
    NO_COLOR: '1',
    ...more,
  };
  return spawn(file, rest, { env, cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finish(child: ChildProcess): Promise<Said> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (piece: Buffer) => (stdout += piece.toString()));
  child.stderr?.on('data', (piece: Buffer) => (stderr += piece.toString()));
  await once(child, 'close');
  return { stdout, stderr, code: child.exitCode };
}

function giveAway(root: string): void {
  for (const path of [
    '',
    'etc',
    'etc/fossilrepo',
    'etc/fossilrepo/secrets',
    'etc/fossilrepo/fossilrepo.yaml',
    'etc/fossilrepo/secrets/storage',
  ])
    try {
      chownSync(join(root, path), ordinary, ordinary);
    } catch {
      // Only a forge with S3 has storage keys.
    }
  chmodSync(root, 0o755);
}

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

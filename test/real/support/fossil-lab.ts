import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fossilEnvironment, fossilInit, fossilServer } from '../../../src/programs/fossil.ts';
import { cleanEnvironment, run } from '../../../src/system/run.ts';

/** Real Fossil in a folder: a server, repositories, check-ins. */
export type Served = {
  port: number;
  stop: () => Promise<void>;
  /** The HTTP status of a page, redirects not followed. */
  status: (url: string, cookie?: string) => Promise<number>;
  /** Signs in on Fossil's page. @returns the cookie */
  signIn: (url: string, login: string, password: string) => Promise<string>;
};

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function serve(repos: string, home: string): Promise<Served> {
  mkdirSync(home, { recursive: true });
  const port = await freePort();
  const [file, ...args] = fossilServer('fossil', { repos, port }).argv;
  const child = spawn(file, args, { env: cleanEnvironment(fossilEnvironment(home)), stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const status = async (url: string, cookie?: string) => {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: cookie === undefined ? {} : { cookie },
    });
    await response.arrayBuffer();
    return response.status;
  };
  for (let tries = 0; ; tries++) {
    const up = await status(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (up !== undefined) break;
    if (tries > 100) throw new Error('fossil server does not answer');
    await sleep(50);
  }
  return {
    port,
    status,
    stop: async () => {
      child.kill();
      await ended;
    },
    signIn: async (url, login, password) => {
      const response = await fetch(`${url}/login`, {
        method: 'POST',
        redirect: 'manual',
        headers: { referer: `${url}/login` },
        body: new URLSearchParams({ u: login, p: password, in: 'Login' }),
      });
      await response.arrayBuffer();
      const cookie = response.headers.getSetCookie().map((line) => line.split(';')[0])[0];
      if (cookie === undefined) throw new Error(`${login} could not sign in: ${response.status}`);
      return cookie;
    },
  };
}

export async function initRepository(file: string, home: string): Promise<void> {
  mkdirSync(home, { recursive: true });
  await run(fossilInit('fossil', { file, home, adminUser: 'admin', name: 'demo' }));
}

/** Adds a check-in with one file to a repository. */
export async function commitFile(
  file: string,
  home: string,
  name: string,
  content: string | Buffer,
): Promise<void> {
  const checkout = mkdtempSync(join(tmpdir(), 'checkout-'));
  const env = { ...fossilEnvironment(home), USER: 'admin' };
  const fossil = (...args: string[]) => run({ argv: ['fossil', ...args], cwd: checkout, env });
  await fossil('open', file, '--nosync');
  await fossil('settings', 'autosync', 'off');
  writeFileSync(join(checkout, name), content);
  await fossil('add', name);
  await fossil('commit', '-m', `add ${name}`, '--no-warnings', '--user-override', 'admin');
  await fossil('close', '--force');
  rmSync(checkout, { recursive: true });
}

/** Rows, by another connection than the one under test. */
export function query(file: string, sql: string): Record<string, unknown>[] {
  using database = new DatabaseSync(file, { timeout: 15_000 });
  return database
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
}

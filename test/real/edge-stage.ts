import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { stringify } from 'yaml';
import { type Config, parseConfig } from '../../src/config/config.ts';
import { closedMark, type Paths, pathsUnder, repositoryFile, routeMark } from '../../src/config/paths.ts';
import { renderCaddyfile } from '../../src/plan/caddyfile.ts';
import { caddyRun, caddyValidate } from '../../src/programs/caddy.ts';
import { isRoot } from '../../src/system/identity.ts';
import { cleanEnvironment, type Ran, run } from '../../src/system/run.ts';
import { freePorts } from './ports.ts';

/** The member that every repository of the stage has: signs in, clones, pushes. */
export const dev = { login: 'dev', password: 'dev-secret-1' };

/** As on a server, neither Caddy nor Fossil is root, nor the other's user. An ordinary user runs all as itself. */
const users = { caddy: { uid: 65533, gid: 65533 }, fossil: { uid: 65534, gid: 65534 } };

export type Stage = {
  config: Config;
  paths: Paths;
  /** Caddy's log so far. */
  log(): string;
  /** Makes a repository with its mark. */
  create(name: string): Promise<void>;
  close(name: string): void;
  open(name: string): void;
  /** A folder for clients that goes with the stage. */
  folder: string;
  /** The real Fossil as somebody's client, in a home of its own. @param hosts names that lead to this machine, for it alone */
  fossil(
    args: readonly string[],
    options?: { cwd?: string; hosts?: readonly string[]; env?: Record<string, string>; accept?: number[] },
  ): Promise<Ran>;
  stop(part: 'fossil' | 'caddy' | 'management', signal?: NodeJS.Signals): Promise<void>;
  start(part: 'fossil' | 'caddy' | 'management'): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Caddy with the rendered file before a real `fossil server` and a small real server in the management's place, which
 * answers with what it was asked. @param written keys of `fossilrepo.yaml`; ports are chosen here, but for those in `chosen`
 */
export async function startStage(
  written: Record<string, unknown>,
  names: readonly string[],
  chosen: { http?: number; https?: number } = {},
): Promise<Stage> {
  const root = mkdtempSync(join(tmpdir(), 'fossilrepo edge-'));
  chmodSync(root, 0o755);
  const paths = pathsUnder(root);
  const [http, https, repositories, fossil, ask] = await freePorts(5);
  const ports = { http, https, repositories, fossil, ask, ...chosen };
  const config = parseConfig(stringify({ listen: ['127.0.0.1', '::1'], ...written, ports }), paths);
  for (const folder of [
    paths.rendered,
    paths.routes,
    paths.closed,
    paths.repos,
    paths.edgeHome,
    paths.fossilHome,
  ])
    mkdirSync(folder, { recursive: true });
  for (const socket of [paths.edgeSocket, paths.serveSocket])
    mkdirSync(join(socket, '..'), { recursive: true });
  const folder = join(root, 'clients');
  mkdirSync(join(folder, 'home'), { recursive: true });
  if (isRoot()) {
    for (const own of [paths.edgeHome, join(paths.edgeSocket, '..')])
      chownSync(own, users.caddy.uid, users.caddy.gid);
    for (const own of [paths.repos, paths.fossilHome]) chownSync(own, users.fossil.uid, users.fossil.gid);
    chmodSync(paths.repos, 0o700);
    for (const seen of [paths.routes, paths.closed]) chmodSync(seen, 0o711);
  }
  const template = readFileSync(resolve(import.meta.dirname, '../../templates/Caddyfile'), 'utf8');
  writeFileSync(paths.caddyfile, renderCaddyfile(template, config, paths));
  await run({
    ...caddyValidate(paths, config.programs.caddy, paths.caddyfile),
    ...(isRoot() && { as: users.caddy }),
  });

  const logFile = join(root, 'caddy.log');
  const asFossil = { HOME: paths.fossilHome, USER: 'fossil' };
  const caddy = caddyRun(paths, config.programs.caddy);
  const commands = {
    caddy: { argv: caddy.argv, env: caddy.env, as: users.caddy },
    fossil: {
      argv: [
        config.programs.fossil,
        'server',
        paths.repos,
        '--localhost',
        '--port',
        `${config.ports.fossil}`,
      ],
      env: asFossil,
      as: users.fossil,
    },
  };
  const running = new Map<string, ChildProcess>();
  let management = managementServer(paths);

  const stage: Stage = {
    config,
    paths,
    folder,
    log: () => readFileSync(logFile, 'utf8'),
    async create(name) {
      const file = repositoryFile(paths, name);
      const as = isRoot() && { as: users.fossil };
      const fossilRun = (...args: string[]) =>
        run({ argv: [config.programs.fossil, ...args], env: asFossil, cwd: paths.fossilHome, ...as });
      await fossilRun('init', '-A', dev.login, file);
      await fossilRun('user', 'password', dev.login, dev.password, '-R', file);
      writeFileSync(routeMark(paths, name), '');
    },
    close: (name) => writeFileSync(closedMark(paths, name), ''),
    open: (name) => rmSync(closedMark(paths, name)),
    fossil: (args, { cwd, hosts, env, accept } = {}) => {
      const client: [string, ...string[]] = [config.programs.fossil, ...args];
      const options = {
        cwd: cwd ?? folder,
        env: { HOME: join(folder, 'home'), USER: 'someone', ...env },
        ...(accept && { accept }),
      };
      if (!hosts) return run({ argv: client, ...options });
      const hostsFile = join(folder, 'hosts');
      writeFileSync(hostsFile, hosts.map((host) => `127.0.0.1 ${host}\n`).join(''));
      const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
      const own = isRoot() ? [] : ['--map-root-user'];
      return run({
        argv: ['unshare', '--mount', ...own, 'sh', '-c', script, hostsFile, ...client],
        ...options,
      });
    },
    async start(part) {
      if (part === 'management') {
        management = managementServer(paths);
        return;
      }
      const { argv, env, as } = commands[part];
      const [file = '', ...args] = argv;
      const child = spawn(file, args, {
        env: { ...cleanEnvironment(env) },
        cwd: '/',
        stdio: ['ignore', 'ignore', 'pipe'],
        ...(isRoot() && as),
      });
      running.set(part, child);
      child.stderr.on('data', (chunk: Buffer) => {
        if (part === 'caddy') appendFileSync(logFile, chunk);
      });
      const port = part === 'fossil' ? config.ports.fossil : config.ports.http;
      for (let waited = 0; ; waited += 50) {
        if (await isOpen(port)) return;
        if (child.exitCode !== null || waited > 15_000)
          throw new Error(`${part} did not start:\n${stage.log()}`);
        await sleep(50);
      }
    },
    async stop(part, signal = 'SIGKILL') {
      if (part === 'management') {
        management.close();
        return;
      }
      const child = running.get(part);
      running.delete(part);
      if (child?.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
    async [Symbol.asyncDispose]() {
      for (const part of ['caddy', 'fossil', 'management'] as const) await stage.stop(part);
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  writeFileSync(logFile, '');
  for (const name of names) await stage.create(name);
  await stage.start('fossil');
  await stage.start('caddy');
  return stage;
}

function managementServer(paths: Paths) {
  const app = new Hono();
  app.post('/size', async (c) => c.text(`${(await c.req.arrayBuffer()).byteLength}`));
  app.all('*', (c) => c.json({ management: true, path: c.req.path, headers: c.req.header() }));
  const server = createAdaptorServer({ fetch: app.fetch });
  rmSync(paths.serveSocket, { force: true });
  server.listen(paths.serveSocket, () => chmodSync(paths.serveSocket, 0o666));
  return server;
}

async function isOpen(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' });
    return true;
  } catch {
    return false;
  }
}

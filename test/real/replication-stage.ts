import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LitestreamControl, litestreamControl } from '../../src/backup/control.ts';
import { partKey, type ReplicaConfig, replicaPlace, replicaUrl } from '../../src/backup/location.ts';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { s3Store } from '../../src/backup/s3-store.ts';
import { programHome } from '../../src/config/paths.ts';
import { renderLitestreamConfig } from '../../src/plan/litestream.ts';
import { litestreamEnvironment, litestreamReplicate } from '../../src/programs/litestream.ts';
import { secret as hidden } from '../../src/secrets/secret.ts';
import { renderStorageCredentials } from '../../src/secrets/storage.ts';
import { cleanEnvironment, run } from '../../src/system/run.ts';
import type { S3 } from './s3.ts';

export const litestream = resolve(programHome, 'embedded/programs/bin/litestream');
const template = readFileSync(join(programHome, 'templates/litestream.yml'), 'utf8');
const day = 86_400_000;

export type Stage = ReturnType<typeof replicationStage>;

/** Repositories in a temporary folder and a real Litestream over them, with a folder or S3 as the replica. */
export function replicationStage(s3?: S3, secret = s3?.secretAccessKey) {
  const root = mkdtempSync(join(tmpdir(), 'fossilrepo-replication-'));
  const at = (name: string) => join(root, name);
  for (const folder of ['repos', 'replica', 'home']) mkdirSync(at(folder));
  const replica: ReplicaConfig = s3
    ? { url: `s3://${s3.bucket}/prefix`, endpoint: s3.endpoint, region: 'us-east-1' }
    : { url: `file://${at('replica')}`, endpoint: undefined, region: 'us-east-1' };
  const place = replicaPlace(replica);
  const store = place.kind === 'directory' ? directoryStore(place.folder) : s3Store(place, s3);
  const socket = at('control.sock');
  const config = at('litestream.yml');
  const control: LitestreamControl = litestreamControl({ litestreamSocket: socket, locks: at('locks') });
  const file = (name: string) => join(root, 'repos', `${name}.fossil`);
  const url = (id: string) => replicaUrl(replica, 'instance', `repos/${id}`);
  let daemon: ChildProcess | undefined;
  let log = '';

  const fossil = async (...args: string[]) =>
    (await run({ argv: ['/usr/bin/fossil', ...args], env: { HOME: at('home'), USER: 'tester' } })).stdout;

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const ended = daemon;
    daemon = undefined;
    if (ended?.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, 'exit');
    ended.kill(signal);
    await exit;
  }

  return {
    root,
    at,
    store,
    socket,
    config,
    control,
    file,
    url,
    fossil,
    stop,
    history: (id: string) => ({ store, kind: place.kind, key: partKey('instance', `repos/${id}`) }),
    log: () => log,
    alive: () => daemon?.exitCode === null && daemon.signalCode === null,

    /** A new repository. */
    init: (name: string) => fossil('init', '--admin-user', 'tester', file(name)),
    /** One small transaction. */
    commit: (name: string, user: string) =>
      fossil('user', 'new', user, 'contact', 'password', '-R', file(name)),

    /** Starts Litestream over these repositories, each with its name as its id unless another is given. */
    async start(databases: readonly (string | { name: string; id: string })[]): Promise<void> {
      const named = databases.map((database) =>
        typeof database === 'string' ? { name: database, id: database } : database,
      );
      writeFileSync(
        config,
        renderLitestreamConfig(template, {
          socket,
          exact: 7 * day,
          window: 30 * day,
          step: 300_000,
          databases: named.map(({ name, id }) => ({ file: file(name), url: url(id) })),
        }),
      );
      if (s3 && secret !== undefined)
        writeFileSync(at('storage'), renderStorageCredentials(s3.accessKeyId, hidden(secret)));
      const [program, ...args] = litestreamReplicate(litestream, config).argv;
      const started = spawn(program, args, {
        env: cleanEnvironment(litestreamEnvironment(s3 && at('storage'))),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      started.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
      daemon = started;
      await until(async () => (await control.info().catch(() => undefined))?.pid === started.pid);
    },

    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Waits for something to become true. @throws Error after the deadline */
export async function until(seen: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await seen())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${seen.toString()}`);
    await sleep(20);
  }
}

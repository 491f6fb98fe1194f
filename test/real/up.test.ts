import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeInstance } from '../../src/apply/instance.ts';
import { makeInstanceKey } from '../../src/apply/secret.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { partNames } from '../../src/stack/parts.ts';
import { findMember } from '../../src/store/members.ts';
import { knownInstance, openStore } from '../../src/store/store.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { measured, processesOf } from './processes.ts';
import { startS3 } from './s3.ts';

describe('fossilrepo up', () => {
  let forge: TestForge;
  beforeAll(async () => {
    forge = await startForge();
  });
  afterAll(async () => {
    await forge[Symbol.asyncDispose]();
  });

  const isGreen = async () => (await forge.cli('status')).code === 0;

  test('says what each part says after its name', () => {
    const lines = forge.log().split('\n');
    for (const part of ['repositories', 'edge']) expect(forge.log()).toContain(`[${part}] `);
    const unnamed = lines.filter((line) => /^\{"level"/.test(line));
    expect(unnamed).toEqual([]);
  });

  test.each(partNames)('%s that is killed is started again, and status turns red and green', async (part) => {
    await eventually(isGreen, 30_000, 'green before');
    const before = forge.pidOf(part);
    const started = performance.now();
    process.kill(before, 'SIGKILL');
    const said = await forge.cli('status');
    expect(said.code, said.stdout).toBe(4);
    expect(said.stdout).toMatch(/^● Something is wrong/);
    expect(said.stdout).toContain(part);
    await eventually(() => forge.pidOf(part) !== before, 5_000, `${part} started again`);
    const again = performance.now() - started;
    await eventually(isGreen, 20_000, `green after ${part} was killed`);
    measured(
      `${part}: another process after ${again.toFixed(0)} ms, green after ${(performance.now() - started).toFixed(0)} ms`,
    );
  });

  test('apply in the second in which a part is being started again waits for it', async () => {
    const before = forge.pidOf('replication');
    process.kill(before, 'SIGKILL');
    const said = await forge.cli('apply', '--yes');
    expect(said.code, said.stderr).toBe(0);
    expect(said.stderr + said.stdout).toContain('replication');
    expect(forge.pidOf('replication')).not.toBe(before);
    await eventually(isGreen, 20_000, 'green');
  });

  test('a second one on the same folder is refused', async () => {
    const pids = () => partNames.map(forge.pidOf);
    const before = pids();
    const said = await forge.cli('up');
    expect(said.code).toBe(5);
    expect(said.stderr).toMatch(/at work|runs already/);
    expect(pids()).toEqual(before);
    await eventually(isGreen, 20_000, 'green');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends everything within 5 s', async (signal) => {
    const started = performance.now();
    await forge.stop(signal);
    const took = performance.now() - started;
    measured(`${signal}: all ended after ${took.toFixed(0)} ms`);
    expect(took).toBeLessThan(5_000);
    expect(processesOf(forge.root)).toEqual([]);
    const status = await forge.cli('status');
    expect(status.code).toBe(4);
    expect(status.stdout).toContain('does not run');
    await forge.start();
  });

  test('the management part keeps no TypeScript compiler in memory', () => {
    const status = readFileSync(`/proc/${forge.pidOf('management')}/status`, 'utf8');
    const own = Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
    measured(`memory of the management part that is no file's: ${(own / 1e6).toFixed(1)} MB`);
    // 63 MB with it, 43 without.
    expect(own).toBeLessThan(54e6);
  });

  test('when it is killed nothing lives on, and the next one works', async () => {
    const pids = partNames.map(forge.pidOf);
    await forge.stop('SIGKILL');
    await eventually(
      () => pids.every((pid) => !processesOf(forge.root).some((left) => left.pid === pid)),
      2_000,
      'no part left',
    );
    await forge.start();
    await eventually(isGreen, 20_000, 'green');
  });

  test('a mistake in fossilrepo.yaml ends nothing that runs: what dies is started again as it was', async () => {
    await eventually(isGreen, 30_000, 'green before');
    const file = pathsUnder(forge.root).config;
    const good = readFileSync(file, 'utf8');
    const before = forge.pidOf('replication');
    try {
      writeFileSync(file, `${good}\nreplcia: {}\n`);
      process.kill(before, 'SIGKILL');
      await eventually(() => forge.pidOf('replication') !== before, 10_000, 'replication started again');
      expect(forge.log()).toMatch(/^\[replication\] is started as before: .*replcia/m);
    } finally {
      writeFileSync(file, good);
    }
    await eventually(isGreen, 30_000, 'green again');
  });

  test('ended while it still proves itself, it ends', async () => {
    await forge.stop();
    const before = forge.log().length;
    const started = forge.start().catch(() => 'ended');
    await eventually(() => forge.log().slice(before).includes('[edge] '), 20_000, 'parts start');
    await forge.stop('SIGTERM');
    await started;
    await sleep(100);
    expect(processesOf(forge.root)).toEqual([]);
  });

  test('ended while a part is about to be started again, it ends', async () => {
    await forge.start();
    const pid = forge.pidOf('replication');
    process.kill(pid, 'SIGKILL');
    await eventually(() => !processesOf(forge.root).some((left) => left.pid === pid), 5_000, 'it has died');
    const ended = forge.stop().then(() => 'ended');
    expect(await Promise.race([ended, sleep(10_000)])).toBe('ended');
    expect(processesOf(forge.root)).toEqual([]);
  });

  test('a port that somebody else has is refused, with what to do', async () => {
    await forge.stop();
    const other = createServer().listen(forge.ports.http, '127.0.0.1');
    await once(other, 'listening');
    const said = await forge.cli('up');
    other.close();
    expect(said.code).toBe(4);
    expect(said.stderr).toContain(`Port ${forge.ports.http} on 127.0.0.1 is in use`);
    expect(said.stderr).toContain('ss -ltnp');
    expect(processesOf(forge.root)).toEqual([]);
  });
});

test('what was killed between the making of the database and that of its identity is gone on with', async () => {
  await using forge = await startForge({ up: false });
  const database = join(forge.root, 'var/lib/fossilrepo/fossilrepo.db');
  mkdirSync(dirname(database), { recursive: true });
  openStore({ database }).database.close();
  const { uid, gid } = statSync(forge.root);
  for (const path of [
    'var',
    'var/lib',
    'var/lib/fossilrepo',
    ...readdirSync(dirname(database)).map((name) => `var/lib/fossilrepo/${name}`),
  ])
    chownSync(join(forge.root, path), uid, gid);
  for (const command of [['diff'], ['install', '--yes', '--dry-run']]) {
    const said = await forge.cli(...command);
    expect(said.code, said.stderr).toBe(0);
    expect(said.stdout).toContain('- make the management database and the administrator');
  }
  // The replica's folder was tried.
  expect(existsSync(join(forge.root, 'var/backups'))).toBe(false);
});

test('a management database comes to be whole, whatever a killed making of it left', async () => {
  const root = mkdtempSync(join(tmpdir(), 'instance-'));
  const paths = pathsUnder(root);
  const folder = dirname(paths.database);
  mkdirSync(folder, { recursive: true });
  mkdirSync(paths.secrets, { recursive: true });
  makeInstanceKey(join(paths.secrets, 'instance-key'));
  for (const left of ['.new', '.new-wal']) writeFileSync(`${paths.database}${left}`, 'half');
  try {
    await makeInstance(paths);
    expect(readdirSync(folder)).toEqual(['fossilrepo.db']);
    using store = openStore(paths, { create: false });
    expect(knownInstance(store)).toBeDefined();
    expect(findMember(store, 'admin')).toMatchObject({ administrator: true });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a person's own AWS settings reach no part", async () => {
  await using s3 = await startS3();
  await using forge = await startForge({
    s3,
    env: {
      AWS_CA_BUNDLE: '/etc/ssl/certs/ca-certificates.crt',
      AWS_PROFILE: 'nobody',
      AWS_ACCESS_KEY_ID: 'somebody',
      AWS_SECRET_ACCESS_KEY: 'else',
    },
  });
  await forge.json('repo', 'create', 'one');
  const said = await forge.cli('backup', 'now');
  expect(said.code, said.stderr).toBe(0);
  const status = await forge.cli('backup', 'status');
  expect(status.code, status.stdout).toBe(0);
});

test('behind a proxy for the world outside the forge itself is reached directly', async () => {
  // Nobody listens there.
  const proxy = { http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };
  await using forge = await startForge({ env: proxy });
  const made = await forge.json<{ name: string }>('repo', 'create', 'demo');
  expect(made.name).toBe('demo');
  await eventually(
    async () => (await forge.json<{ canary: { ok: boolean } | null }>('status')).canary?.ok === true,
    30_000,
    'the canary flew',
  );
});

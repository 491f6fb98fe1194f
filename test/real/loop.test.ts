import { existsSync, readdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { readLoopState } from '../../src/health/loop-state.ts';
import { litestreamControl } from '../../src/backup/control.ts';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { savedHighWater } from '../../src/backup/high-water.ts';
import { listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { partNames } from '../../src/stack/parts.ts';
import { openStore } from '../../src/store/store.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { measured, memoryOf, processorTime } from './processes.ts';
import { instanceOf, replicaFolderOf, startPusher } from './pusher.ts';
import { startS3 } from './s3.ts';

const quantile = (values: readonly number[], part: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? NaN;

/** From when a commit was in the server's file until an object was there that came after it, in milliseconds, each. */
async function freshness(forge: TestForge, level: string, pushes: number): Promise<number[]> {
  await using pusher = await startPusher(forge, 'fresh', { pushing: false });
  await sleep(2_000);
  const taken: number[] = [];
  for (let count = 0; count < pushes; count++) {
    const pushed = pusher.one();
    taken.push(await lagOf(join(level.replace('ID', pusher.id)), pusher.path));
    expect(await pushed).toBe(true);
  }
  return taken;
}

async function lagOf(level: string, file: string): Promise<number> {
  using database = new DatabaseSync(file, { readOnly: true, timeout: 1_000 });
  const commits = () =>
    Number(database.prepare("SELECT count(*) AS n FROM event WHERE type = 'ci'").get()?.['n']);
  const objects = () => readdirSync(level).filter((name) => name.endsWith('.ltx'));
  const before = commits();
  let known = objects();
  while (commits() === before) {
    known = objects();
    await sleep(1);
  }
  const committed = performance.now();
  while (objects().every((name) => known.includes(name))) {
    if (performance.now() - committed > 5_000) throw new Error('the push is not in the replica');
    await sleep(1);
  }
  return performance.now() - committed;
}

describe('a push is in the replica', () => {
  test('within a second, in a folder', async () => {
    await using forge = await startForge();
    const replica = join(forge.root, 'var/backups/fossilrepo');
    const taken = await freshness(forge, join(replicaFolderOf(replica, forge.root, 'ID'), 'ltx/0'), 50);
    measured(
      `commit → in the folder: p50 ${quantile(taken, 0.5).toFixed(0)} ms, p99 ${quantile(taken, 0.99).toFixed(0)} ms, of ${taken.length}`,
    );
    expect(Math.max(...taken)).toBeLessThan(1_000);
  });

  test('within a second, in S3', async () => {
    await using s3 = await startS3();
    await using forge = await startForge({ s3 });
    const taken = await freshness(
      forge,
      join(replicaFolderOf(join(s3.folder, 'forge'), forge.root, 'ID'), '0000'),
      50,
    );
    measured(
      `commit → in S3: p50 ${quantile(taken, 0.5).toFixed(0)} ms, p99 ${quantile(taken, 0.99).toFixed(0)} ms, of ${taken.length}`,
    );
    expect(Math.max(...taken)).toBeLessThan(1_000);
  });
});

test(
  'ten repositories that nobody uses cost next to nothing, and are not nudged; the canary flies each minute',
  { timeout: 240_000 },
  async () => {
    await using forge = await startForge();
    const flights = new Map<number, boolean>();
    // By its file: whoever asked with a command would use the processor.
    const looking = setInterval(() => {
      const canary = readLoopState(pathsUnder(forge.root))?.canary;
      if (canary) flights.set(Date.parse(canary.at), canary.ok);
    }, 500);
    for (let count = 0; count < 10; count++) await forge.json('repo', 'create', `idle-${count}`);
    // Litestream makes a checkpoint a minute after the last commit.
    await sleep(75_000);
    const events: string[] = [];
    const watcher = watch(join(forge.root, 'data/repos'), (_event, name) => {
      if (name?.startsWith('idle') && name.endsWith('-wal')) events.push(name);
    });
    const before = partNames.map((part) => processorTime(forge.pidOf(part)));
    const started = performance.now();
    await sleep(60_000);
    watcher.close();
    clearInterval(looking);
    const flown = [...flights.keys()];
    const gaps = [...flown.slice(1), Date.now()].map((at, index) => at - (flown[index] ?? 0));
    measured(`the canary flew ${flown.length} times, ${Math.max(...gaps)} ms apart at most`);
    expect(new Set(flights.values())).toEqual(new Set([true]));
    expect(flown.length).toBeGreaterThanOrEqual(2);
    // It is thought of every ten seconds, and may take a while.
    expect(Math.max(...gaps)).toBeLessThan(90_000);
    expect(Math.min(...gaps.slice(0, -1))).toBeGreaterThan(50_000);
    const seconds = (performance.now() - started) / 1000;
    const used = partNames.map(
      (part, index) => (processorTime(forge.pidOf(part)) - (before[index] ?? 0)) / seconds / 10,
    );
    partNames.forEach((part, index) =>
      measured(
        `${part} idle: ${used[index]?.toFixed(2)} % of a core, ${(memoryOf(forge.pidOf(part)) / 2 ** 20).toFixed(0)} MB`,
      ),
    );
    measured(`fossilrepo up itself: ${(memoryOf(forge.process()?.pid ?? 0) / 2 ** 20).toFixed(0)} MB`);
    expect(used[partNames.indexOf('management')]).toBeLessThan(2);
    expect(events).toEqual([]);
    // How far each is in the replica stands in the management database by now, too.
    using database = new DatabaseSync(pathsUnder(forge.root).database, { readOnly: true });
    const ids = (from: string) =>
      database
        .prepare(`SELECT id FROM ${from} ORDER BY id`)
        .all()
        .map(({ id }) => id);
    expect(ids('high_water')).toEqual(ids("repository WHERE name LIKE 'idle-%'"));
  },
);

test('a stop writes down how far the last push is in the replica', async () => {
  await using forge = await startForge();
  await using pusher = await startPusher(forge, 'demo', { pushing: false });
  // They are written down each minute, five seconds before its end.
  if (Date.now() % 60_000 > 35_000) await sleep(60_000 - (Date.now() % 60_000));
  expect(await pusher.one()).toBe(true);
  expect((await forge.cli('backup', 'now')).code).toBe(0);
  await forge.stop();
  const replica = directoryStore(pathsUnder(forge.root).replica);
  const key = partKey(instanceOf(forge.root), `repos/${pusher.id}`);
  using store = openStore(pathsUnder(forge.root));
  expect(savedHighWater(store).get(pusher.id)).toBe(
    newestTxid(await listHistory({ store: replica, kind: 'directory', key })),
  );
});

describe('a replica that was emptied on purpose', () => {
  test('stays red until it is said with --fresh-replica; then all is written anew', async () => {
    await using forge = await startForge();
    const paths = pathsUnder(forge.root);
    await forge.json('repo', 'create', 'demo');
    await using pusher = await startPusher(forge, 'busy', { pushing: false });
    expect(await pusher.one()).toBe(true);
    // Litestream may write there meanwhile.
    for (const name of readdirSync(paths.replica))
      rmSync(join(paths.replica, name), { recursive: true, maxRetries: 20 });
    await eventually(
      async () => /not the one that was there/.test((await forge.cli('status')).stdout),
      30_000,
      'red',
    );
    const refused = await forge.cli('install', '--yes');
    expect(refused).toMatchObject({ code: 4 });
    expect(refused.stderr).toContain('--fresh-replica');
    const fresh = await forge.cli('install', '--yes', '--fresh-replica');
    expect(fresh, fresh.stderr).toMatchObject({ code: 0 });
    await eventually(async () => (await forge.cli('status')).code === 0, 30_000, 'green');
    expect((await forge.cli('backup', 'now')).code).toBe(0);
    expect(existsSync(join(paths.replica, 'owner.json'))).toBe(true);
    expect(await pusher.lostInReplica()).toEqual([]);
    expect((await litestreamControl(paths).list()).every(({ error }) => error === undefined)).toBe(true);
  });
});

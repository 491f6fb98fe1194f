import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { readHighWater } from '../../src/backup/high-water.ts';
import { listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { measured } from './processes.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { type S3, startS3 } from './s3.ts';

let s3: S3;
let forge: TestForge;
let pusher: Awaited<ReturnType<typeof startPusher>>;
const maxAge = 5_000;
/** How long the storage is down. Litestream waits longer after each try that fails, so the first seconds say little of a real outage. */
const outage = 60_000;

beforeAll(async () => {
  s3 = await startS3();
  forge = await startForge({
    s3,
    config: { replica: { url: `s3://${s3.bucket}/forge`, endpoint: s3.endpoint, maxAge: '5s' } },
  });
  pusher = await startPusher(forge, 'busy');
});
afterAll(async () => {
  await pusher[Symbol.asyncDispose]();
  await forge[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
});

const isGreen = async () => (await forge.cli('status')).code === 0;
const isRed = async () => (await forge.cli('status')).code === 4;

describe('a replica in S3, with pushes going on', () => {
  test('the storage is down for a minute: red, `backup now` fails, pushes go on, and all of it is sent when it is back', async () => {
    await using still = await startPusher(forge, 'still', { pushing: false });
    await eventually(isGreen, 30_000, 'green before');
    await s3.stop();
    const stopped = Date.now();
    expect(await still.one()).toBe(true);
    const red = await eventually(isRed, maxAge + 10_000, 'red');
    measured(`S3 down: red after ${red.toFixed(0)} ms (maxAge ${maxAge} ms)`);
    const pushes = pusher.acknowledged.length;
    const now = await forge.cli('backup', 'now', 'busy');
    expect(now.code).toBe(1);
    measured(`backup now says: ${now.stdout.trim().split('\n')[0] ?? ''}${now.stderr.trim()}`);
    expect(now.stdout + now.stderr).toMatch(/busy/);
    const status = await forge.cli('backup', 'status', '--json');
    expect(status.code).toBe(4);
    const { ok, repositories } = JSON.parse(status.stdout) as {
      ok: boolean;
      repositories: Record<string, unknown>[];
    };
    expect(ok).toBe(false);
    expect(repositories.find(({ name }) => name === 'busy')).toMatchObject({
      ok: false,
      from: null,
      to: null,
    });
    const shown = await forge.cli('status');
    expect(shown.stdout).toMatch(/databases are not safe|busy is not safe/);
    expect(shown.stdout.split('\n').length).toBeLessThan(25);
    measured(`status while S3 is down:\n${shown.stdout}`);
    await sleep(Math.max(0, stopped + outage - Date.now()));
    expect(await isRed()).toBe(true);
    expect(pusher.acknowledged.length).toBeGreaterThan(pushes);
    await s3.start();
    // The canary flies each minute, and until it has flown again it is red.
    const green = await eventually(isGreen, 120_000, 'green again');
    measured(`S3 back: green after ${green.toFixed(0)} ms`);
    // Nothing is pushed to this one any more: what the outage held back is known to be there all the same.
    const store = directoryStore(join(s3.folder, 'forge'));
    const instance = instanceOf(forge.root);
    const history = await listHistory({ store, kind: 's3', key: partKey(instance, `repos/${still.id}`) });
    await eventually(
      async () => ((await readHighWater(store, instance)).get(still.id) ?? 0) >= newestTxid(history),
      60_000,
      'the mark of what was sent later',
    );
  }, 300_000);

  test('wrong keys: red though Litestream lives; the right ones in the file and a restart mend it', async () => {
    const file = join(forge.root, 'etc/fossilrepo/secrets/storage');
    const right = readFileSync(file, 'utf8');
    const { uid, gid } = statSync(file);
    const put = (text: string) => {
      writeFileSync(file, text, { mode: 0o600 });
      chownSync(file, uid, gid);
    };
    put(right.replace(s3.secretAccessKey, 'wrong'));
    for (const part of ['replication', 'management']) expect((await forge.cli('restart', part)).code).toBe(0);
    const red = await eventually(
      async () =>
        (await isRed()) && /key|credential|refuse|denied|403/i.test((await forge.cli('status')).stdout),
      20_000,
      'red about keys',
    );
    measured(`wrong keys: said after ${red.toFixed(0)} ms\n${(await forge.cli('status')).stdout}`);
    expect(forge.pidOf('replication')).toBeGreaterThan(0);
    put(right);
    for (const part of ['replication', 'management']) await forge.cli('restart', part);
    const green = await eventually(isGreen, 60_000, 'green again');
    measured(`right keys: green after ${green.toFixed(0)} ms`);
  });

  test("another server's owner object: says whose it is, and Litestream has nothing to write", async () => {
    const owner = join(s3.folder, 'forge/owner.json');
    const ours = readFileSync(owner, 'utf8');
    const other = {
      ...(JSON.parse(ours) as object),
      instance: 'another',
      hostname: 'other.example',
      heartbeat: new Date().toISOString(),
    };
    await s3.stop();
    writeFileSync(owner, JSON.stringify(other));
    await s3.start();
    const red = await eventually(
      async () => /belongs to the server on other\.example/.test((await forge.cli('status')).stdout),
      25_000,
      'says whose',
    );
    measured(`foreign owner in S3: said after ${red.toFixed(0)} ms`);
    expect(readFileSync(join(forge.root, 'var/lib/fossilrepo/litestream.yml'), 'utf8')).toMatch(
      /^dbs: \[\]/m,
    );
    await s3.stop();
    writeFileSync(owner, ours);
    await s3.start();
    await eventually(isGreen, 60_000, 'green again');
  });

  test('a repository rebuilt by hand is mended, and replicated beyond a checkpoint', async () => {
    await pusher.stop();
    await pusher.byHand('rebuild');
    await pusher.byHand(
      'sql',
      'CREATE TABLE fx_big(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<6000) INSERT INTO fx_big SELECT randomblob(1500) FROM n; PRAGMA wal_checkpoint(TRUNCATE);',
    );
    expect(await pusher.one()).toBe(true);
    const took = await eventually(
      async () => (await forge.cli('backup', 'now', 'busy')).code === 0,
      60_000,
      'replicated after a rebuild',
    );
    measured(`rebuild by hand: replicated ${took.toFixed(0)} ms after a forced checkpoint`);
    await eventually(isGreen, 30_000, 'green');
  });

  test('at the end nothing acknowledged is missing, here or in a restore', async () => {
    expect((await forge.cli('backup', 'now')).code).toBe(0);
    measured(`${pusher.acknowledged.length} pushes acknowledged, ${pusher.refused()} refused`);
    expect(pusher.acknowledged.length).toBeGreaterThan(30);
    expect(pusher.lostLive()).toEqual([]);
    expect(await pusher.lostInReplica()).toEqual([]);
  });
});

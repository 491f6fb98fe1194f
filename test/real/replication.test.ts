import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { coverage } from '../../src/backup/coverage.ts';
import { inReplica, recoveryWindow } from '../../src/backup/window.ts';
import { litestreamState } from '../../src/config/paths.ts';
import { publish } from '../../src/apply/publish.ts';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { nudgeReplication } from '../../src/jobs/nudge.ts';
import {
  litestreamCheck,
  litestreamVersion,
  oldestLitestream,
  readLitestreamCheck,
  readLitestreamVersion,
} from '../../src/programs/litestream.ts';
import { run } from '../../src/system/run.ts';
import { litestream, replicationStage, type Stage, until } from './replication-stage.ts';
import { type S3, startS3 } from './s3.ts';

let s3: S3;
beforeAll(async () => {
  s3 = await startS3();
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
});

/** Restores from the replica alone and counts the users that start with `u`. */
async function usersInReplica(stage: Stage, id: string, more: string[] = []): Promise<string[]> {
  const output = stage.at(`restored-${id}-${Date.now()}.fossil`);
  await run({
    argv: [litestream, 'restore', '-integrity-check', 'full', ...more, '-o', output, stage.url(id)],
    env: existsSync(stage.at('storage')) ? { AWS_SHARED_CREDENTIALS_FILE: stage.at('storage') } : {},
  });
  const database = new DatabaseSync(output, { readOnly: true });
  try {
    const rows = database.prepare("SELECT login FROM user WHERE login GLOB 'u[0-9]*' ORDER BY uid").all();
    return rows.map(({ login }) => String(login));
  } finally {
    database.close();
  }
}

const covered = async (stage: Stage, names: readonly string[], maxAgeMs = 10_000) =>
  coverage({
    expected: names.map((name) => ({ id: name, name, file: stage.file(name), since: 0 })),
    listed: await stage.control.list().catch(() => undefined),
    now: Date.now(),
    maxAgeMs,
  });

/** How long until a transaction made now can be seen in the storage. Milliseconds. */
async function delays(stage: Stage, name: string, count: number): Promise<number[]> {
  const found: number[] = [];
  let { txid } = await stage.control.syncNow(stage.file(name));
  for (let n = 0; n < count; n++) {
    await stage.commit(name, `v${count}-${n}`);
    const start = performance.now();
    txid++;
    await until(() => inReplica(stage.history(name), txid));
    found.push(Math.round(performance.now() - start));
    // Not always at the same place between two looks of Litestream.
    await sleep(Math.random() * 500);
    ({ txid } = await stage.control.syncNow(stage.file(name)));
  }
  return found.sort((a, b) => a - b);
}

describe.each([
  ['a directory', () => replicationStage()],
  ['S3', () => replicationStage(s3)],
])('replication to %s', (kind, open) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = open();
    await stage.init('named');
    await stage.init('registered');
    await stage.start(['named']);
    await stage.control.syncNow(stage.file('named'));
    await stage.control.register(stage.file('registered'), stage.url('registered'));
    await stage.control.syncNow(stage.file('registered'));
  });
  afterAll(async () => {
    await stage[Symbol.asyncDispose]();
  });

  test.each(['named', 'registered'])(
    'a commit to a %s database is in the storage within a second',
    async (name) => {
      const alone = await delays(stage, name, 8);
      const sent: number[] = [];
      const nudge = nudgeReplication(
        { paths: { repos: stage.at('repos') } as never, litestream: stage.control },
        (_file, txid) => sent.push(txid),
        (error) => expect(error).toBeUndefined(),
      );
      const nudged = await delays(stage, name, 20).finally(() => {
        nudge?.close();
      });
      const show = (times: number[]) => `p50 ${times[times.length >> 1]} ms, max ${times.at(-1)} ms`;
      process.stdout.write(`${kind}, ${name}: nudged ${show(nudged)}; Litestream alone ${show(alone)}\n`);
      expect(nudged.at(-1)).toBeLessThan(1_000);
    },
  );

  test('both are covered, and can be restored from their beginning', async () => {
    expect(await covered(stage, ['named', 'registered'])).toMatchObject([{ ok: true }, { ok: true }]);
    const { from, to } = await recoveryWindow(stage.history('named'));
    expect(from?.getTime()).toBeGreaterThan(Date.now() - 120_000);
    expect(to?.getTime()).toBeGreaterThan(from?.getTime() ?? Infinity);
    expect(await recoveryWindow(stage.history('nobody'))).toEqual({
      from: null,
      to: null,
    });
    expect(await inReplica(stage.history('named'), 9_999)).toBe(false);
  });

  test('goes on after a restart and after a kill, with what was committed meanwhile', async () => {
    const before = await stage.control.syncNow(stage.file('named'));
    await stage.stop();
    await stage.commit('named', 'u100');
    await stage.start(['named', 'registered']);
    const after = await stage.control.syncNow(stage.file('named'));
    expect(after.txid).toBe(before.txid + 1);
    await stage.stop('SIGKILL');
    await stage.commit('registered', 'u101');
    await stage.start(['named', 'registered']);
    await stage.control.syncNow(stage.file('registered'));
    expect((await usersInReplica(stage, 'named')).at(-1)).toBe('u100');
    expect((await usersInReplica(stage, 'registered')).at(-1)).toBe('u101');
  });

  test('a rename loses nothing and keeps the history', async () => {
    const [from, to] = [stage.file('named'), stage.file('renamed')];
    await stage.commit('named', 'u200');
    const { txid } = await stage.control.syncNow(from);
    expect(await stage.control.unregister(from)).toEqual({ txid, why: undefined });
    const database = new DatabaseSync(from);
    database.exec('PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE');
    database.close();
    renameSync(from, to);
    renameSync(litestreamState(from), litestreamState(to));
    await stage.control.register(to, stage.url('named'));
    await stage.commit('renamed', 'u201');
    const after = await stage.control.syncNow(to);
    expect(after.txid).toBeGreaterThan(txid);
    expect((await usersInReplica(stage, 'named')).slice(-2)).toEqual(['u200', 'u201']);
    expect(
      (await usersInReplica(stage, 'named', ['-txid', txid.toString(16).padStart(16, '0')])).at(-1),
    ).toBe('u200');
    expect((await stage.control.list()).map(({ path }) => path)).not.toContain(from);
  });

  test('what is not replicated is no success', async () => {
    await stage.init('stranger');
    await expect(stage.control.syncNow(stage.file('stranger'))).rejects.toMatchObject({ reason: 'unknown' });
    expect(await covered(stage, ['stranger'])).toMatchObject([{ ok: false, ageSeconds: null }]);
    expect(await stage.control.unregister(stage.file('stranger'))).toEqual({
      txid: undefined,
      why: undefined,
    });
    await stage.control.register(stage.file('nothing'), stage.url('nothing'));
    await expect(stage.control.syncNow(stage.file('nothing'), 2_000)).rejects.toMatchObject({
      reason: 'refused',
    });
    expect(existsSync(stage.file('nothing'))).toBe(false);
    await stage.control.unregister(stage.file('nothing'));
  });
});

test('a rebuild takes away tables that Litestream needs: red, though the age goes on', async () => {
  await using stage = replicationStage();
  await stage.init('one');
  await stage.start(['one']);
  await stage.control.syncNow(stage.file('one'));
  await stage.fossil('rebuild', stage.file('one'));
  const database = new DatabaseSync(stage.file('one'), { timeout: 5_000 });
  database.exec(
    'CREATE TABLE fx_filler(x); INSERT INTO fx_filler WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 8) SELECT randomblob(1000000) FROM n',
  );
  await until(async () => !(await covered(stage, ['one']))[0]?.ok);
  expect(await covered(stage, ['one'])).toMatchObject([
    { why: expect.stringContaining('_litestream') as string },
  ]);
  await expect(stage.control.syncNow(stage.file('one'), 5_000)).rejects.toThrow('_litestream');
  database.exec(
    'CREATE TABLE IF NOT EXISTS _litestream_seq(id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE IF NOT EXISTS _litestream_lock(id INTEGER)',
  );
  database.close();
  await stage.control.syncNow(stage.file('one'));
  expect(await covered(stage, ['one'])).toMatchObject([{ ok: true }]);
});

test('S3 is down: the age grows, it turns red, and nothing is lost', async () => {
  await using stage = replicationStage(s3);
  await stage.init('one');
  await stage.start([{ name: 'one', id: 'outage' }]);
  await stage.control.syncNow(stage.file('one'));
  await s3.stop();
  await sleep(3_000);
  // The age says that all is in the replica, not that the replica can be reached: that takes the owner object, or the canary.
  expect(await covered(stage, ['one'], 2_000)).toMatchObject([{ ok: true }]);
  const stopped = Date.now();
  await stage.commit('one', 'u1');
  // Litestream 0.5.17 does not always keep to the timeout it is given while it tries to reach the storage.
  await expect(stage.control.syncNow(stage.file('one'), 3_000)).rejects.toMatchObject({
    reason: expect.stringMatching(/refused|slow/) as string,
  });
  await until(async () => !(await covered(stage, ['one'], 4_000))[0]?.ok);
  const [red] = await covered(stage, ['one'], 4_000);
  process.stdout.write(`red after ${Date.now() - stopped} ms: ${red?.why ?? ''}\n`);
  expect(red?.ageSeconds).toBeGreaterThan(3);
  expect(stage.alive()).toBe(true);
  await s3.start();
  const up = Date.now();
  await until(async () => Boolean((await covered(stage, ['one'], 4_000))[0]?.ok), 60_000);
  process.stdout.write(`green ${Date.now() - up} ms after it was back\n`);
  await stage.control.syncNow(stage.file('one'));
  expect(await usersInReplica(stage, 'outage')).toEqual(['u1']);
});

test('S3 is down when Litestream starts', async () => {
  await using stage = replicationStage(s3);
  await stage.init('one');
  await s3.stop();
  await stage.start([{ name: 'one', id: 'late' }]);
  const state = await covered(stage, ['one']);
  expect(state).toMatchObject([{ ok: false }]);
  await s3.start();
  await until(async () => Boolean((await covered(stage, ['one']))[0]?.ok), 60_000);
  await stage.control.syncNow(stage.file('one'));
});

test('wrong keys: Litestream lives, nothing is covered, and no key is logged', async () => {
  await using stage = replicationStage(s3, 'another-secret');
  await stage.init('one');
  await stage.start([{ name: 'one', id: 'keys' }]);
  await expect(stage.control.syncNow(stage.file('one'), 4_000)).rejects.toMatchObject({ reason: 'refused' });
  await until(() => stage.log().includes('SignatureDoesNotMatch'));
  expect(stage.alive()).toBe(true);
  expect(await covered(stage, ['one'])).toMatchObject([{ ok: false, ageSeconds: null }]);
  expect(stage.log()).not.toContain('another-secret');
  expect(readFileSync(stage.config, 'utf8')).not.toContain('another-secret');
});

test("the caller's AWS settings don't reach Litestream", async () => {
  await using stage = replicationStage(s3);
  const settings = {
    AWS_CA_BUNDLE: '/etc/ssl/certs/ca-certificates.crt',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
  };
  Object.assign(process.env, settings);
  try {
    await stage.init('one');
    await stage.start([{ name: 'one', id: 'settings' }]);
    await stage.control.syncNow(stage.file('one'));
  } finally {
    for (const name of Object.keys(settings)) Reflect.deleteProperty(process.env, name);
  }
});

describe('the dry start', () => {
  test('agrees to what is good, touching neither databases nor the socket, and refuses what is not', async () => {
    await using stage = replicationStage();
    await stage.init('one');
    await stage.start(['one']);
    const { pid } = await stage.control.info();
    const check = () => run(litestreamCheck(litestream, stage.config));
    readLitestreamCheck((await check()).stdout, [stage.file('one')]);
    expect((await stage.control.info()).pid).toBe(pid);
    const good = readFileSync(stage.config, 'utf8');
    const spoil = (from: string | RegExp, to: string) => writeFileSync(stage.config, good.replace(from, to));
    for (const [from, to] of [
      ['l0-retention: ', 'l0-retention: x'],
      ['  - interval: 300s', '  - interval: 0s'],
      [/url: .*/, 'url: ftp://x'],
      ['dbs:', 'dbs: ['],
    ] as const) {
      spoil(from, to);
      await expect(check()).rejects.toThrow('litestream');
    }
    spoil('dbs:', 'databases:');
    const { stdout } = await check();
    expect(() => readLitestreamCheck(stdout, [stage.file('one')])).toThrow(stage.file('one'));
    writeFileSync(stage.config, good);
    const paths = pathsUnder(stage.at('server'));
    const machine = { run, paths, config: parseConfig(`programs: { litestream: ${litestream} }`, paths) };
    const published = (content: string) =>
      publish(
        {
          do: 'files',
          title: "Litestream's configuration",
          files: [{ path: stage.config, content, mode: 0o640, former: good }],
          check: { litestream: [stage.file('one')] },
          then: [],
        },
        machine,
      );
    await expect(published(good.replace('dbs:', 'databases:'))).rejects.toThrow(
      "Litestream's configuration would not work, so nothing of it was changed",
    );
    const other = good.replace('dbs:', `dbs:\n  - path: /other\n    replica: { url: file:///elsewhere }`);
    await expect(published(other)).rejects.toThrow('another configuration than was meant: /other');
    expect(readFileSync(stage.config, 'utf8')).toBe(good);
    await published(`${good}# new\n`);
    expect(readFileSync(stage.config, 'utf8')).toBe(`${good}# new\n`);
  });
});

test('only the group may use the control socket, and silence is said to be silence', async () => {
  await using stage = replicationStage();
  await stage.init('one');
  await stage.start(['one']);
  expect(statSync(stage.socket).mode & 0o777).toBe(0o660);
  await stage.stop('SIGKILL');
  await expect(stage.control.list()).rejects.toMatchObject({
    reason: 'silent',
    message: expect.stringContaining('ECONNREFUSED') as string,
  });
  expect(await covered(stage, ['one'])).toMatchObject([{ ok: false, why: 'Litestream does not answer' }]);
});

test('the embedded Litestream is new enough', async () => {
  const version = readLitestreamVersion((await run(litestreamVersion(litestream))).stdout);
  expect(version.localeCompare(oldestLitestream, 'en', { numeric: true })).toBeGreaterThanOrEqual(0);
});

test('an upload that is let go unfinished says so', async () => {
  await using stage = replicationStage(s3);
  await stage.init('one');
  await stage.start([{ name: 'one', id: 'unfinished' }]);
  await stage.control.syncNow(stage.file('one'));
  await s3.stop();
  try {
    await stage.commit('one', 'u1');
    const { why } = await stage.control.unregister(stage.file('one'), 3_000);
    expect(why).toContain('unregister');
    expect(await stage.control.list()).toEqual([]);
  } finally {
    await s3.start();
  }
  await stage.control.register(stage.file('one'), stage.url('unfinished'));
  await stage.control.syncNow(stage.file('one'));
  expect(await usersInReplica(stage, 'unfinished')).toEqual(['u1']);
});

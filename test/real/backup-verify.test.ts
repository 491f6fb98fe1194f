import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { filesFor, listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import type { Verified } from '../../src/backup/verify/verify.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { withLock } from '../../src/system/locks.ts';
import type { Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { type S3, startS3 } from './s3.ts';
import { query } from './support/fossil-lab.ts';

type Answer = { ok: boolean; results: Verified[]; failed: { name: string; error: string }[] };
type Status = {
  level: string;
  findings: { about: string; what: string; next: string }[];
  repositories: { name: string; verified: { at: string; ok: boolean; error: string | null } | null }[];
  verified: { databases: number; inLastWeek: number; last: string | null };
};

const database = (forge: TestForge) => join(forge.root, 'var/lib/fossilrepo/fossilrepo.db');

const verify = async (forge: TestForge, ...args: string[]) => {
  const said = await forge.cli('--json', 'backup', 'verify', ...args);
  return { ...said, json: (said.stdout === '' ? undefined : JSON.parse(said.stdout)) as Answer };
};
const status = async (forge: TestForge) => JSON.parse((await forge.cli('--json', 'status')).stdout) as Status;
/** What `backup status` shows under VERIFIED, by name. */
const verifiedShown = async (forge: TestForge) => {
  const [head = '', ...rows] = (await forge.cli('backup', 'status')).stdout.split('\n');
  const cell = (row: string, name: string) => row.slice(head.indexOf(name)).split('  ')[0];
  return new Map(rows.map((row) => [cell(row, 'NAME'), cell(row, 'VERIFIED')]));
};
const left = (forge: TestForge) =>
  readdirSync(join(forge.root, 'data/work/tmp')).filter((name) => name.startsWith('verify-'));

describe.each(['directory', 's3'])('backup verify with a replica in a %s', (kind) => {
  let s3: S3 | undefined;
  let forge: TestForge;
  beforeAll(async () => {
    s3 = kind === 's3' ? await startS3() : undefined;
    forge = await startForge({ ...(s3 && { s3 }) });
  });
  afterAll(async () => {
    await forge[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  test('a fresh server is green, and says that nothing was verified yet', async () => {
    await eventually(async () => (await status(forge)).level === 'green', 70_000, 'green');
    expect((await status(forge)).verified).toEqual({ databases: 1, inLastWeek: 0, last: null });
    const shown = await verifiedShown(forge);
    expect(shown.get('management database')).toBe('never');
    // It is written to each minute, and no person's.
    expect([...shown.values()]).toContain('-');
  });

  test('everything in service comes out of the replica as it is', async () => {
    await forge.json('repo', 'create', 'still');
    const { code, json, stderr } = await verify(forge);
    expect(code, stderr).toBe(0);
    expect(json.results.map(({ name, ok }) => [name, ok])).toEqual([
      ['management database', true],
      ['still', true],
    ]);
    expect(json.results[1]).toMatchObject({ artifacts: 1, unversioned: 0, counts: { checkins: 1 } });
    expect(left(forge)).toEqual([]);
    const now = await status(forge);
    expect(now.verified).toMatchObject({ databases: 2, inLastWeek: 2 });
    expect(now.repositories.find(({ name }) => name === 'still')?.verified).toMatchObject({ ok: true });
    const { repositories } = await forge.json<Pick<Status, 'repositories'>>('backup', 'status');
    expect(repositories.map(({ name, verified }) => [name, verified?.ok])).toEqual(
      expect.arrayContaining([
        ['management database', true],
        ['still', true],
      ]),
    );
    expect((await verifiedShown(forge)).get('still')).toMatch(/^\d+m?s ago$/);
    expect((await forge.cli('status')).stdout).toMatch(
      /verified {6}2 of 2 in the last week, the last \d+ms|s ago/,
    );
  });

  test('pushes meanwhile are no difference', async () => {
    await using pusher = await startPusher(forge, 'stream');
    await eventually(() => pusher.acknowledged.length >= 3, 30_000, 'pushes go through');
    const txids: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { code, json, stderr } = await verify(forge, 'stream');
      expect(code, stderr).toBe(0);
      txids.push(json.results[0]?.txid ?? 0);
      process.stdout.write(
        `${kind}: fetched in ${json.results[0]?.fetchMs} ms, checked in ${json.results[0]?.checkMs} ms\n`,
      );
    }
    expect(txids).toEqual([...txids].sort((a, b) => a - b));
    expect(new Set(txids).size).toBeGreaterThan(2);
    await pusher.stop();
    expect(pusher.refused()).toBe(0);
  });

  test('what is not in service can not be asked for', async () => {
    expect((await verify(forge, 'nobody')).code).toBe(2);
    expect((await verify(forge, 'still', '--sample', '1')).code).toBe(2);
    expect((await verify(forge, '--sample', '0')).code).toBe(2);
  });

  test('while Litestream is away nothing can be said, and status stays as it was', async () => {
    const before = await status(forge);
    process.kill(forge.pidOf('replication'), 'SIGSTOP');
    try {
      const one = await verify(forge, 'still');
      expect(one.code).toBe(1);
      expect(one.stderr).toContain('Litestream');
    } finally {
      process.kill(forge.pidOf('replication'), 'SIGCONT');
    }
    const verified = ({ repositories }: Status) =>
      repositories.find(({ name }) => name === 'still')?.verified;
    expect(verified(await status(forge))).toEqual(verified(before));
  });

  test('backup list shows what there is, by name, by id, of a deleted one, and of the management database', async () => {
    const { id } = await forge.json<Shown>('repo', 'show', 'still');
    type Listed = {
      name: string;
      window: { from: string };
      gaps: object[];
      levels: { objects: number }[];
      cost: { dollars: { all: number } };
    };
    const listed = await forge.json<Listed>('backup', 'list', 'still');
    expect(listed).toMatchObject({ name: 'still', gaps: [] });
    expect(Date.parse(listed.window.from)).toBeLessThan(Date.now());
    expect(listed.levels[0]?.objects).toBeGreaterThan(0);
    expect(listed.cost.dollars.all).toBeGreaterThan(0);
    const free = ['--price-gb', '0', '--price-put', '0', '--price-list', '0'];
    const byId = await forge.json<Listed>('backup', 'list', id, ...free);
    expect(byId.cost.dollars.all).toBe(0);
    expect((await forge.json<Listed>('backup', 'list', 'management')).gaps).toEqual([]);
    await forge.json('repo', 'delete', 'still', '--yes');
    expect((await forge.json<Listed>('backup', 'list', 'still')).gaps).toEqual([]);
    const text = await forge.cli('backup', 'list', 'stream');
    expect(text.stdout).toContain('any second');
    expect(text.stdout).toContain('gaps          none');
    expect((await forge.cli('backup', 'list', 'nobody')).code).toBe(2);
    expect((await forge.cli('backup', 'list', 'stream', '--price-gb', 'much')).code).toBe(2);
  });
});

describe('what a verification finds', () => {
  let forge: TestForge;
  beforeAll(async () => {
    // Nothing is merged meanwhile, which would heal.
    forge = await startForge({ config: { replica: { step: '12h' } } });
  });
  afterAll(async () => {
    await forge[Symbol.asyncDispose]();
  });

  const replica = () => join(forge.root, 'var/backups/fossilrepo');
  const inDatabase = (sql: string, ...values: (string | number)[]) => {
    const opened = new DatabaseSync(database(forge), { timeout: 5_000 });
    opened.prepare(sql).run(...values);
    opened.close();
  };
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    writeFileSync(file, bytes);
  };
  const findingsAbout = async (about: string) =>
    (await status(forge)).findings.filter((finding) => finding.about === about);
  const historyOf = (id: string) =>
    listHistory({
      store: directoryStore(replica()),
      kind: 'directory',
      key: partKey(instanceOf(forge.root), id === 'management' ? id : `repos/${id}`),
    });

  test('a flipped byte in the newest object that is needed, by name; status is red until it is whole again', async () => {
    await using pusher = await startPusher(forge, 'flipped', { pushing: false });
    await pusher.one();
    await forge.cli('backup', 'now');
    const history = await historyOf(pusher.id);
    const victim = filesFor(history, newestTxid(history)).files.at(-1);
    if (!victim) throw new Error('nothing is needed');
    flip(join(replica(), victim.key));
    const { code, json } = await verify(forge, 'flipped');
    expect(code).toBe(4);
    expect(json.results[0]).toMatchObject({ ok: false });
    expect(json.results[0]?.error).toContain(victim.key);
    const [finding] = await findingsAbout('flipped');
    expect(finding?.what).toContain(victim.key);
    expect((await status(forge)).level).toBe('red');
    expect((await verifiedShown(forge)).get('flipped')).toMatch(/^FAILED \d+m?s ago$/);
    expect((await fetch(pusher.url)).status).toBe(200);
    flip(join(replica(), victim.key));
    expect((await verify(forge, 'flipped')).code).toBe(0);
    expect(await findingsAbout('flipped')).toEqual([]);
  });

  test('an object that is missing, by verify and by list, with from when on it does not matter', async () => {
    await using pusher = await startPusher(forge, 'missing', { pushing: false });
    await pusher.one();
    await pusher.one();
    await forge.cli('backup', 'now');
    const history = await historyOf(pusher.id);
    const victim = history.at(-3);
    if (!victim) throw new Error('the history is too short');
    const saved = readFileSync(join(replica(), victim.key));
    rmSync(join(replica(), victim.key));
    const said = await verify(forge, 'missing');
    expect(said.code).toBe(4);
    expect(said.json.results[0]?.error).toContain(victim.key);
    const listed = await forge.cli('backup', 'list', 'missing');
    expect(listed.code).toBe(4);
    expect(listed.stdout).toContain(`MISSING ${victim.key}: transaction ${victim.min}\n`);
    expect(listed.stdout).toMatch(/It can be restored until .*, and again after the next snapshot/);
    writeFileSync(join(replica(), victim.key), saved);
    expect((await forge.cli('backup', 'list', 'missing')).code).toBe(0);
    expect((await verify(forge, 'missing')).code).toBe(0);
  });

  test('a live file that was changed behind Fossil’s back differs', async () => {
    const { path } = await forge.json<Shown>('repo', 'create', 'altered');
    await forge.cli('backup', 'now', 'altered');
    // Nobody writes to the page that the reports are on: it would be sent with what was changed.
    const report = () => query(path, 'SELECT title FROM reportfmt')[0]?.['title'];
    const exchange = (from: string, to: string) => {
      for (const file of [path, `${path}-wal`].filter((one) => existsSync(one))) {
        const bytes = readFileSync(file);
        for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from, at + 1)) bytes.write(to, at);
        writeFileSync(file, bytes, { flag: 'r+' });
      }
    };
    exchange('All Tickets', 'Our Tickets');
    expect(report()).toBe('Our Tickets');
    const { code, json } = await verify(forge, 'altered');
    expect(code).toBe(4);
    expect(json.results[0]?.error).toContain('2 ticket reports (Our Tickets, All Tickets) not the same');
    // What is in service is what its people want: all of it is sent anew.
    await forge.json('repo', 'maintain', 'altered');
    expect((await verify(forge, 'altered')).code).toBe(0);
    expect(report()).toBe('Our Tickets');
  });

  test('a management database that is not whole', async () => {
    await forge.cli('backup', 'now');
    const { json } = await verify(forge, 'management');
    expect(json.ok).toBe(true);
    const history = await historyOf('management');
    const [victim] = filesFor(history, newestTxid(history)).files;
    if (!victim) throw new Error('no beginning');
    flip(join(replica(), victim.key));
    const said = await verify(forge, 'management');
    expect(said.code).toBe(4);
    expect(said.json.results[0]?.error).toContain(victim.key);
    flip(join(replica(), victim.key));
    expect((await verify(forge, 'management')).code).toBe(0);
  });

  test('the sample is what was not verified for the longest time, and goes round', async () => {
    for (const name of ['r1', 'r2', 'r3']) await forge.json('repo', 'create', name);
    const sampled = async () => {
      const { json } = await verify(forge, '--sample', '2');
      const [first, ...rest] = json.results.map(({ name }) => name);
      expect(first).toBe('management database');
      return rest.sort();
    };
    const all = ['altered', 'flipped', 'missing', 'r1', 'r2', 'r3'];
    const first = await sampled();
    const second = await sampled();
    const third = await sampled();
    expect(first.every((name) => name.startsWith('r'))).toBe(true);
    expect([...first, ...second, ...third].sort()).toEqual(all);
    expect(await sampled()).toEqual(first);
  });

  test('too long without a verification is red; the daily round of the loop makes it green', async () => {
    const daysAgo = (days: number) => Date.now() - days * 24 * 3_600_000;
    const late = async () =>
      (await findingsAbout('replica')).filter(({ what }) => what.startsWith('Not verified'));
    inDatabase('UPDATE verification SET at = ?', daysAgo(8.5));
    expect(await late()).toEqual([]);
    inDatabase('UPDATE verification SET at = ?', daysAgo(9.5));
    expect((await status(forge)).level).toBe('yellow');
    inDatabase("DELETE FROM verification WHERE database <> 'management'");
    expect(await late()).toEqual([
      expect.objectContaining({ level: 'yellow', what: 'Not verified for too long: management database' }),
    ]);
    inDatabase("UPDATE setting SET value = ? WHERE key = 'verification.since'", daysAgo(3));
    inDatabase("UPDATE repository SET created_at = ? WHERE name LIKE 'r_'", daysAgo(3));
    expect(await late()).toEqual([
      expect.objectContaining({
        level: 'red',
        what: 'Not verified for too long: management database, r1, r2, r3',
      }),
    ]);
    expect((await verify(forge, 'r1')).code).toBe(0);
    inDatabase("UPDATE setting SET value = ? WHERE key = 'verification.round'", daysAgo(2));
    await eventually(() => forge.log().includes('daily verification:'), 60_000, 'the daily round');
    expect(forge.log()).toContain('daily verification: 6 of 6 databases come out of the replica');
    expect(await late()).toEqual([]);
    expect((await status(forge)).level).toBe('green');
  });

  test('one that is killed leaves nothing for long, and two at once are not', async () => {
    await forge.killed(900, 'backup', 'verify');
    expect((await verify(forge)).code).toBe(0);
    const second = await withLock(pathsUnder(forge.root), 'verify', 5_000, () => verify(forge));
    expect(second.code, second.stderr).toBe(5);
    expect(left(forge)).toEqual([]);
  });

  test('without room for the state and a clone it does not begin', async () => {
    const tmp = join(forge.root, 'data/work/tmp');
    const before = await status(forge);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0777', 'tmpfs', tmp]);
    try {
      const { code, stderr } = await verify(forge, 'r2');
      expect(code).toBe(1);
      expect(stderr).toMatch(/has 1.*MB left, and restoring needs 1.* MB/);
      expect(left(forge)).toEqual([]);
    } finally {
      execFileSync('umount', [tmp]);
    }
    const verified = ({ repositories }: Status) => repositories.find(({ name }) => name === 'r2')?.verified;
    expect(verified(await status(forge))).toEqual(verified(before));
    const some = await verify(forge, 'r2', 'r1');
    expect(some.code).toBe(0);
  });

  test('of a repository that is purged nothing is remembered', async () => {
    const { id } = await forge.json<Shown>('repo', 'show', 'r3');
    const rows = () => query(database(forge), `SELECT 1 FROM verification WHERE database = '${id}'`);
    expect(rows()).not.toEqual([]);
    await forge.json('repo', 'delete', 'r3', '--yes');
    await forge.json('repo', 'purge', 'r3', '--yes');
    expect(rows()).toEqual([]);
  });
});

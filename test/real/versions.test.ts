import { chownSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { armor, Encrypter } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { litestreamControl } from '../../src/backup/control.ts';
import { ownerKey } from '../../src/backup/owner.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { migrations } from '../../src/store/schema.ts';
import { newPerson, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { processesOf } from './processes.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { query } from './support/fossil-lab.ts';

type Listed = { repositories: { name: string; id: string; visibility: string; checkins: number }[] };

const tablesIn = (database: DatabaseSync): string[] =>
  database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .all()
    .map((row) => String(row['name']));

/** The tables that the first version of the management database had. */
function firstTables(): string[] {
  using database = new DatabaseSync(':memory:');
  database.exec(migrations[0] ?? '');
  return tablesIn(database);
}

/** A replica into which an old fossilrepo wrote, and after its upgrade one that is newer than this program. */
describe('a server that another version of fossilrepo ran', () => {
  let former: TestForge;
  let bare: TestForge;
  let pusher: Awaited<ReturnType<typeof startPusher>>;
  let token: string;
  let before: Listed;
  let recipient: string;
  let instance: string;
  let flags: string[];
  /** When it was the old one's. */
  let old: Date;
  const replica = () => join(former.root, 'var/backups/fossilrepo');

  beforeAll(async () => {
    former = await startForge();
    bare = await startForge({ bare: true });
    pusher = await startPusher(former, 'demo', { pushing: false });
    await pusher.one();
    await former.json('repo', 'create', 'open', '--visibility', 'public');
    await former.json('repo', 'create', 'gone');
    await former.json('repo', 'delete', 'gone', '--yes');
    token = (await former.json<{ token: string }>('user', 'token', 'admin')).token;
    before = await former.json<Listed>('repo', 'list');
    instance = instanceOf(former.root);
    const [, key = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(former.log()) ?? [];
    const file = join(bare.root, 'key');
    writeFileSync(file, key, { mode: 0o600 });
    const { uid, gid } = statSync(bare.root);
    chownSync(file, uid, gid);
    flags = ['install', '--from', `file://${replica()}`, '--recovery-key', file, '--yes'];
    const recovery = readFileSync(join(former.root, 'etc/fossilrepo/recovery.json'), 'utf8');
    ({ recipient } = JSON.parse(recovery) as { recipient: string });
    expect((await former.cli('backup', 'now')).code).toBe(0);
    await asOthersLeftIt();
    await former.stop('SIGKILL');
    await eventually(() => processesOf(former.root).length === 0, 10_000, 'the former server is gone');
    // Long ago, so that nobody has to wait until it would have noticed.
    const owner = join(replica(), ownerKey);
    const long = new Date(Date.now() - 3_600_000).toISOString();
    writeFileSync(owner, readFileSync(owner, 'utf8').replace(/"heartbeat": ".*"/, `"heartbeat": "${long}"`));
  });
  afterAll(async () => {
    await pusher[Symbol.asyncDispose]();
    await bare[Symbol.asyncDispose]();
    await former[Symbol.asyncDispose]();
  });

  /** Its management database as it was in the first version, then in one that is yet to come; each is in the replica. */
  async function asOthersLeftIt(): Promise<void> {
    const paths = pathsUnder(former.root);
    await pauseManagement(former);
    // It seals the bundle each minute, which would bring the tables up to date.
    process.kill(former.process()?.pid ?? 0, 'SIGSTOP');
    using database = new DatabaseSync(paths.database, {
      timeout: 10_000,
      enableForeignKeyConstraints: false,
    });
    const version = () => database.prepare('PRAGMA user_version').get()?.['user_version'];
    const first = firstTables();
    database.exec('BEGIN IMMEDIATE');
    for (const name of tablesIn(database))
      if (!/^(sqlite|_litestream)_/.test(name) && !first.includes(name)) database.exec(`DROP TABLE ${name}`);
    database.exec('PRAGMA user_version = 1; COMMIT');
    await litestreamControl(paths).syncNow(paths.database);
    await sleep(1_200);
    old = new Date();
    expect(version()).toBe(1);
    await sleep(1_200);
    database.exec('PRAGMA user_version = 99');
    await litestreamControl(paths).syncNow(paths.database);
  }

  const untouched = () => {
    // Fossil was asked for its version, and makes `.fossil` in the home of whoever asks.
    expect(readdirSync(bare.root).filter((name) => name !== '.fossil')).toEqual(['etc', 'key']);
    expect(readdirSync(join(bare.root, 'etc/fossilrepo'))).toEqual(['secrets']);
    expect(readdirSync(join(bare.root, 'etc/fossilrepo/secrets'))).toEqual([]);
  };

  test('is not brought back by an older program, which says what to do before anything is touched', async () => {
    const owner = readFileSync(join(replica(), ownerKey), 'utf8');
    const said = await bare.cli(...flags);
    expect(said.code).toBe(1);
    expect(said.stderr).toContain('was run by a newer fossilrepo');
    expect(said.stderr).toMatch(/next: .* with that version or a newer one, or as it was before .*--at/);
    const dry = await bare.cli(...flags, '--dry-run');
    expect(dry.stderr).toContain('was run by a newer fossilrepo');
    untouched();
    expect(readFileSync(join(replica(), ownerKey), 'utf8')).toBe(owner);
  });

  test('nor is one whose secrets a newer program sealed', async () => {
    const bundles = join(replica(), instance, 'bundles');
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    const later = { version: 2, somethingNew: [] };
    const file = join(bundles, `${new Date().toISOString()}.age`);
    writeFileSync(file, armor.encode(await encrypter.encrypt(JSON.stringify(later))), { mode: 0o644 });
    try {
      const said = await bare.cli(...flags);
      expect(said.code).toBe(1);
      expect(said.stderr).toContain('made by a newer fossilrepo (version 2 of its format)');
      expect(said.stderr).toContain('Use the fossilrepo that made it, or a newer one.');
      untouched();
    } finally {
      rmSync(file);
    }
  });

  test('comes back from what an older one wrote, all of it, and goes on', async () => {
    await bare.start(...flags, '--at', old.toISOString());
    const now = await bare.json<Listed>('repo', 'list');
    const shortly = ({ repositories }: Listed) =>
      repositories.map(({ name, id, visibility, checkins }) => [name, id, visibility, checkins]);
    expect(shortly(now)).toEqual(shortly(before));
    const managed = join(bare.root, 'var/lib/fossilrepo/fossilrepo.db');
    expect(query(managed, 'PRAGMA user_version')).toEqual([{ user_version: migrations.length }]);
    expect((await bare.json<{ token: string }>('user', 'token', 'admin')).token).toBe(token);
    expect(await bare.json('repo', 'undelete', 'gone')).toMatchObject({ checkins: 1 });
    using someone = newPerson();
    const { cloneUrl, path } = await bare.json<Shown>('repo', 'show', 'demo');
    const folder = await someone.checkout(cloneUrl, `admin:${token}`);
    const hash = await someone.commit(folder, 'after.txt', 'after the upgrade');
    expect(await someone.push(folder)).toBe(true);
    expect(query(path, `SELECT 1 AS there FROM blob WHERE uuid = '${hash}'`)).toEqual([{ there: 1 }]);
    expect((await bare.cli('backup', 'now')).code).toBe(0);
    const verified = await bare.cli('backup', 'verify');
    expect(verified.code, verified.stdout).toBe(0);
    // What the newer tables are for.
    await bare.json('restore', 'demo', '--at', old.toISOString(), '--yes');
    await bare.json('restore', 'demo', '--undo', '--yes');
    const status = await bare.cli('status');
    expect(status.code, status.stdout).toBe(0);
  });
});

import { execFileSync } from 'node:child_process';
import {
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noteBringing } from '../../src/apply/bringing.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { instanceId, openStore } from '../../src/store/store.ts';
import type { Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { smallDisk } from './small-disk.ts';

/** A server that is gone. */
let former: TestForge;
let replica: string;
let mark: Date;
/** A repository's id. */
let damaged: string;
let recoveryKey: string;

beforeAll(async () => {
  former = await startForge();
  await former.json('repo', 'create', 'early');
  damaged = (await former.json<Shown>('repo', 'create', 'damaged')).id;
  expect((await former.cli('backup', 'now')).code).toBe(0);
  await sleep(1_500);
  mark = new Date();
  await sleep(1_500);
  expect((await former.cli('backup', 'now')).code).toBe(0);
  await former.json('repo', 'create', 'late');
  await former.json('repo', 'create', 'brief');
  await former.json('repo', 'delete', 'brief', '--yes');
  expect((await former.cli('backup', 'now')).code).toBe(0);
  [, recoveryKey = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(former.log()) ?? [];
  await former.stop();
  replica = join(former.root, 'var/backups/fossilrepo');
  // It burnt a while ago: nobody is waited for.
  const file = ownerFile();
  const owner = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...owner, heartbeat: new Date(Date.now() - 600_000).toISOString() }));
});
afterAll(() => former[Symbol.asyncDispose]());

const ownerFile = () => join(replica, 'owner.json');

/** Gives something to the user that forges run as. */
function giveTo(forge: TestForge, ...paths: string[]): void {
  const { uid, gid } = statSync(forge.root);
  for (const path of paths) chownSync(path, uid, gid);
}

/** What brings the server back on a bare machine. */
function installOn(forge: TestForge, ...more: string[]): string[] {
  const key = join(forge.root, 'key');
  writeFileSync(key, recoveryKey, { mode: 0o600 });
  giveTo(forge, key);
  return ['install', '--from', `file://${replica}`, '--recovery-key', key, '--yes', ...more];
}

test('is refused before anything is touched where files of repositories lie already; its own are none', async () => {
  await using bare = await startForge({ bare: true });
  const paths = pathsUnder(bare.root);
  for (const folder of [paths.repos, paths.trash]) mkdirSync(folder, { recursive: true });
  const left = join(paths.repos, 'early.fossil');
  copyFileSync(join(former.root, 'data/repos/early.fossil'), left);
  writeFileSync(join(paths.trash, 'log.fossil-wal'), '');
  giveTo(bare, paths.data, paths.repos, paths.work, paths.trash, left);
  const owner = readFileSync(ownerFile(), 'utf8');
  // Taken, it would go on running.
  const said = await bare.stopped(30_000, ...installOn(bare, '--takeover'));
  expect(said.code, said.stderr).toBe(2);
  expect(said.stderr).toContain(`goes there: ${left}, ${join(paths.trash, 'log.fossil-wal')}.`);
  expect(said.stderr).toContain('Move all that ends in .fossil');
  expect(readFileSync(ownerFile(), 'utf8')).toBe(owner);
  for (const touched of [paths.database, paths.config, paths.record])
    expect(existsSync(touched), touched).toBe(false);
  // As after a run that was killed.
  using store = openStore(pathsUnder(former.root));
  noteBringing(paths, { from: `file://${replica}`, instance: instanceId(store), at: null });
  const again = await bare.cli(...installOn(bare, '--dry-run'));
  expect(again.code, again.stderr).toBe(0);
});

test('is refused before anything is touched where its repositories have no room', async () => {
  await using large = await startForge();
  const { path } = await large.json<Shown>('repo', 'create', 'large');
  {
    // More than the least room that a server is installed into.
    using database = new DatabaseSync(path);
    database.exec(`CREATE TABLE room(content); INSERT INTO room VALUES (zeroblob(${600 * 1024 ** 2}))`);
  }
  expect((await large.cli('backup', 'now')).code).toBe(0);
  await large.stop();
  const from = join(large.root, 'var/backups/fossilrepo');
  const owner = readFileSync(join(from, 'owner.json'), 'utf8');

  await using bare = await startForge({ bare: true });
  const paths = pathsUnder(bare.root);
  mkdirSync(paths.data, { recursive: true });
  using disk = smallDisk({ at: paths.data, megabytes: 560 });
  // For its ports.
  mkdirSync(dirname(paths.config), { recursive: true });
  copyFileSync(pathsUnder(large.root).config, paths.config);
  giveTo(bare, disk.folder, dirname(paths.config), paths.config);
  const argv = ['install', '--from', `file://${from}`, '--without-secrets', '--takeover', '--yes'];
  const said = await bare.stopped(30_000, ...argv);
  expect(said.code, said.stderr).toBe(1);
  expect(said.stderr).toMatch(/bring back take 63\d MB, and the disk of .*data has 58\d MB left/);
  expect(readFileSync(join(from, 'owner.json'), 'utf8')).toBe(owner);
  for (const touched of [paths.database, paths.record]) expect(existsSync(touched), touched).toBe(false);
  // As after a run that was killed: what it fetched takes room, and is part of what is needed.
  using store = openStore(pathsUnder(large.root));
  noteBringing(paths, { from: `file://${from}`, instance: instanceId(store), at: null });
  const again = await bare.cli(...argv, '--dry-run');
  expect(again.code, again.stderr).toBe(0);
});

test('before it asks, what was made after the instant is named', async () => {
  await using bare = await startForge({ bare: true });
  const argv = installOn(bare, '--at', mark.toISOString(), '--takeover', '--dry-run');
  const said = await bare.cli(...argv);
  expect(said.code, said.stderr).toBe(0);
  expect(said.stdout).toContain('! made after that time, and not brought back: 2: late, brief (deleted)');
  const { former: found } = await bare.json<{ former: { later: { name: string; state: string }[] } }>(
    ...argv,
  );
  expect(found.later.map(({ name, state }) => [name, state])).toEqual([
    ['late', 'active'],
    ['brief', 'trashed'],
  ]);
  const newest = await bare.cli(...installOn(bare, '--takeover', '--dry-run'));
  expect(newest.stdout).not.toContain('made after that time');
});

test('where the server is here already, another instant is refused, and without one it is said that nothing comes back', async () => {
  await using bare = await startForge({ bare: true });
  const at = ['--at', mark.toISOString()];
  await bare.start(...installOn(bare, ...at));
  await bare.stop();
  const other = new Date(mark.getTime() + 500);
  const said = await bare.stopped(30_000, ...installOn(bare, '--at', other.toISOString()));
  expect(said.code, said.stderr).toBe(2);
  expect(said.stderr).toContain('This server is here already');
  expect(said.stderr).toContain(`fossilrepo restore --all --at ${other.toISOString()}`);
  expect(said.stderr).toContain('uninstall --purge');
  // One that was killed at its very end is run again like this.
  await bare.start(...installOn(bare, ...at));
  await bare.stop();
  const dry = await bare.cli(...installOn(bare, '--dry-run'));
  expect(dry.code, dry.stderr).toBe(0);
  expect(dry.stderr).toContain(`This server is here already: nothing was brought back from ${replica}.`);
});

test('what could not be brought back to an instant is brought to that one, not to now', async () => {
  const found = execFileSync('find', [replica, '-path', `*${damaged}*`, '-name', '*.ltx', '-size', '+0']);
  const kept = found
    .toString()
    .trim()
    .split('\n')
    .map((file) => ({ file, bytes: readFileSync(file), at: statSync(file) }));
  for (const { file } of kept) truncateSync(file, 50);
  await using bare = await startForge({ bare: true });
  // It never says that all is well, so nobody waits for that.
  const starting = bare
    .start(...installOn(bare, '--at', mark.toISOString(), '--takeover'))
    .catch(() => undefined);
  const command = `fossilrepo restore damaged --at ${mark.toISOString()}`;
  const said = async () => (await bare.cli('status')).stdout.includes(command);
  await eventually(said, 60_000, 'status says with which instant');
  expect(bare.log()).toContain(`fossilrepo restore ${damaged} --at ${mark.toISOString()}`);
  // What else lies in its place is not it.
  const place = join(bare.root, 'data/repos/damaged.fossil');
  symlinkSync(join(bare.root, 'data/repos/early.fossil'), place);
  const isGone = () => lstatSync(place, { throwIfNoEntry: false }) === undefined;
  await eventually(isGone, 60_000, 'it is moved away');
  // The loop has looked again by then.
  await sleep(12_000);
  expect((await bare.cli('status')).stdout).toContain(command);
  for (const { file, bytes, at } of kept) {
    writeFileSync(file, bytes);
    utimesSync(file, at.atime, at.mtime);
  }
  await bare.json('restore', 'damaged', '--at', mark.toISOString(), '--yes');
  await eventually(async () => !(await said()), 60_000, 'the loop saw it');
  rmSync(place);
  const now = async () => (await bare.cli('status')).stdout.includes('fossilrepo restore damaged --at now');
  await eventually(now, 60_000, 'what is lost later is brought back as it was last');
  await bare.stop();
  await starting;
});

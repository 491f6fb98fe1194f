import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedMark, pathsUnder, programHome } from '../../src/config/paths.ts';
import { run } from '../../src/system/run.ts';
import { type Person, newPerson, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { startPusher } from './pusher.ts';
import { query } from './support/fossil-lab.ts';

let forge: TestForge;
let someone: Person;
let token: string;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

const status = async (url: string) => (await fetch(url, { redirect: 'manual' })).status;
const signedIn = (url: string) => url.replace('://', `://admin:${token}@`);
const create = (name: string, ...flags: string[]) => forge.json<Shown>('repo', 'create', name, ...flags);
const checkout = (url: string) => someone.checkout(url, `admin:${token}`);
const checkinsIn = (file: string): string[] =>
  query(file, "SELECT uuid FROM event JOIN blob ON blob.rid = event.objid WHERE type = 'ci'").map((row) =>
    String(row['uuid']),
  );

const replicaOf = (id: string): string => {
  const root = join(forge.root, 'var/backups/fossilrepo');
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith(`repos/${id}`),
  );
  if (found === undefined) throw new Error(`no replica of ${id}`);
  return join(root, found);
};
const restore = async (id: string, to: string, ...flags: string[]) => {
  const litestream = join(programHome, 'embedded/programs/bin/litestream');
  await run({ argv: [litestream, 'restore', '-o', to, ...flags, `file://${replicaOf(id)}`] });
};

/** The check-ins that a repository has in the replica. */
async function checkinsOf(id: string): Promise<string[]> {
  const restored = join(someone.home, `${id}-${Date.now()}.fossil`);
  await restore(id, restored);
  return checkinsIn(restored);
}

/** Another person, who commits and pushes until told to stop. */
async function pushing(url: string) {
  const person = newPerson();
  const folder = await person.checkout(url, `admin:${token}`);
  const accepted: string[] = [];
  let refused = 0;
  const ended = new AbortController();
  const done = (async () => {
    for (let index = 0; !ended.signal.aborted; index++) {
      const hash = await person.commit(folder, `file-${index}.txt`, `${index}`);
      // A push takes along what earlier ones could not.
      if (await person.push(folder)) accepted.push(hash);
      else refused++;
    }
  })();
  return {
    accepted,
    refused: () => refused,
    stop: async () => {
      ended.abort();
      await done;
      person[Symbol.dispose]();
    },
  };
}

describe('repo rename', () => {
  test('in a stream of pushes loses nothing, and the history goes on under the id', async () => {
    const before = await create('stream');
    const people = [await pushing(before.cloneUrl), await pushing(before.cloneUrl)];
    const count = () => people.reduce((sum, { accepted }) => sum + accepted.length, 0);
    await eventually(() => count() >= 4, 20_000, 'pushes go through');
    await sleep(1_500);
    const asOf = new Date();
    await sleep(1_500);
    const started = performance.now();
    const after = await forge.json<Shown>('repo', 'rename', 'stream', 'river');
    const took = performance.now() - started;
    process.stdout.write(`rename in a stream of pushes: ${Math.round(took)} ms\n`);
    await sleep(500);
    for (const one of people) await one.stop();
    expect(people.some(({ refused }) => refused() > 0)).toBe(true);
    const there = checkinsIn(after.path);
    expect(people.flatMap(({ accepted }) => accepted.filter((hash) => !there.includes(hash)))).toEqual([]);
    expect(after).toMatchObject({ name: 'river', id: before.id });
    expect(await status(before.url)).toBe(404);
    expect(await someone.canClone(signedIn(after.cloneUrl))).toBe(true);
    expect(existsSync(before.path)).toBe(false);
    expect(took).toBeLessThan(5_000);

    expect(await forge.cli('backup', 'now', 'river')).toMatchObject({ code: 0 });
    const now = join(someone.home, 'now.fossil');
    await restore(before.id, now);
    expect(checkinsIn(now).sort()).toEqual(there.sort());
    const former = join(someone.home, 'former.fossil');
    await restore(before.id, former, '-timestamp', asOf.toISOString());
    expect(checkinsIn(former).length).toBeGreaterThan(1);
    expect(there).toEqual(expect.arrayContaining(checkinsIn(former)));

    // What was refused goes through under the new name.
    const folder = await checkout(after.cloneUrl);
    await someone.commit(folder, 'late.txt', 'late');
    expect(await someone.push(folder)).toBe(true);
    expect(await forge.cli('repo', 'rename', 'stream', 'river')).toMatchObject({ code: 1 });
    expect((await forge.cli('repo', 'rename', 'river', 'river')).code).toBe(2);
    expect((await forge.cli('repo', 'rename', 'river', 'timeline')).code).toBe(2);
  });

  test('killed at any moment, it is finished or never begun', async () => {
    const { id } = await create('kill-me');
    let name = 'kill-me';
    for (let index = 0; index < 6; index++) {
      const next = `kill-me-${index}`;
      await forge.killed(150 + index * 50, 'repo', 'rename', name, next);
      if (index % 2 === 0) await forge.cli('repo', 'rename', name, next);
      await eventually(
        async () =>
          (await forge.cli('repo', 'show', name)).code !== (await forge.cli('repo', 'show', next)).code,
        10_000,
        'one name',
      );
      name = (await forge.cli('repo', 'show', next)).code === 0 ? next : name;
      await eventually(
        async () => someone.canClone(signedIn((await forge.json<Shown>('repo', 'show', name)).cloneUrl)),
        10_000,
        `${name} can be cloned`,
      );
    }
    expect(await forge.json('repo', 'show', name)).toMatchObject({ id });
    await eventually(async () => (await forge.cli('status')).code === 0, 15_000, 'green');
  });

  test('that fails leaves all as it was', async () => {
    const { id, cloneUrl } = await create('stays');
    const replica = replicaOf(id);
    const folders = [
      replica,
      ...readdirSync(replica, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name)),
    ];
    for (const folder of folders) chmodSync(folder, 0o500);
    const folder = await checkout(cloneUrl);
    await someone.commit(folder, 'a.txt', 'a');
    expect(await someone.push(folder)).toBe(true);
    const said = await forge.cli('repo', 'rename', 'stays', 'goes');
    expect(said.code).not.toBe(0);
    for (const one of folders) chmodSync(one, 0o700);
    expect(said.stderr).toContain('replica');
    expect(await forge.json('repo', 'show', 'stays')).toMatchObject({ id, checkins: 2 });
    expect(await someone.canClone(signedIn(cloneUrl))).toBe(true);
    expect((await forge.cli('repo', 'show', 'goes')).code).toBe(1);
    await eventually(
      async () => (await forge.cli('backup', 'now', 'stays')).code === 0,
      20_000,
      'in the replica',
    );
    expect(await forge.json('repo', 'rename', 'stays', 'goes')).toMatchObject({ id, checkins: 2 });
  });
});

describe('repo archive', () => {
  test('lets nothing in, not even from the administrator, until unarchive', async () => {
    const { path, cloneUrl } = await create('closed');
    const folder = await checkout(cloneUrl);
    await someone.commit(folder, 'a.txt', 'a');
    expect(await someone.push(folder)).toBe(true);
    const plan = await forge.cli('repo', 'archive', 'closed', '--dry-run');
    expect(plan.stdout).toContain('prove by a push');
    expect(await forge.json('repo', 'archive', 'closed')).toMatchObject({ archived: true });
    await someone.commit(folder, 'b.txt', 'b');
    expect(await someone.push(folder)).toBe(false);
    expect(checkinsIn(path)).toHaveLength(2);
    expect(await someone.canClone(signedIn(cloneUrl))).toBe(true);
    expect((await forge.cli('repo', 'archive', 'closed')).stdout).toBe('nothing to do\n');
    expect(await forge.json('repo', 'unarchive', 'closed')).toMatchObject({ archived: false });
    expect(await someone.push(folder)).toBe(true);
    expect(checkinsIn(path)).toHaveLength(3);
    // The proof leaves nothing behind.
    expect(query(path, 'SELECT * FROM unversioned')).toEqual([]);
    expect((await forge.cli('repo', 'list')).stdout).not.toContain('(archived)');
  });
});

describe('repo delete', () => {
  test('moves into the trash; the name is free again, the history stays; undelete brings it back', async () => {
    const old = await create('phoenix');
    const pusher = await pushing(old.cloneUrl);
    await eventually(() => pusher.accepted.length >= 2, 20_000, 'pushes go through');
    expect((await forge.cli('repo', 'delete', 'phoenix')).code).toBe(2);
    const deleted = await forge.json<{ id: string }>('repo', 'delete', 'phoenix', '--yes');
    expect(deleted.id).toBe(old.id);
    expect(await status(old.url)).toBe(404);
    expect(existsSync(join(forge.root, `data/work/trash/${old.id}.fossil`))).toBe(true);
    expect((await forge.cli('repo', 'delete', 'phoenix', '--yes')).code).toBe(0);
    // The same name, another project, while somebody still pushes into the former one.
    const fresh = await create('phoenix');
    await sleep(1_000);
    await pusher.stop();
    expect(fresh.id).not.toBe(old.id);
    expect(checkinsIn(fresh.path)).toHaveLength(1);
    const trash = join(forge.root, `data/work/trash/${old.id}.fossil`);
    const kept = checkinsIn(trash);
    expect(pusher.accepted.filter((hash) => !kept.includes(hash))).toEqual([]);
    expect(existsSync(replicaOf(old.id))).toBe(true);
    expect((await checkinsOf(old.id)).sort()).toEqual(kept.sort());

    expect((await forge.cli('repo', 'undelete', 'phoenix')).stderr).toContain('already a repository phoenix');
    const back = await forge.json<Shown>('repo', 'undelete', 'phoenix', '--as', 'risen');
    expect(back).toMatchObject({ id: old.id, name: 'risen', checkins: kept.length });
    expect(await someone.canClone(signedIn(back.cloneUrl))).toBe(true);
    expect(await someone.canClone(back.cloneUrl)).toBe(false);
  });

  test('whose file was removed by hand lets go of its name, and comes back from the replica', async () => {
    const old = await create('vanished');
    for (const suffix of ['', '-wal', '-shm']) rmSync(old.path + suffix, { force: true });
    const deleted = await forge.cli('repo', 'delete', 'vanished', '--yes');
    expect(deleted.code, deleted.stderr).toBe(0);
    const fresh = await create('vanished');
    await forge.json('backup', 'now', 'vanished');
    expect(await checkinsOf(fresh.id)).toEqual(checkinsIn(fresh.path));
    await forge.json('restore', old.id, '--at', 'now', '--as', 'reappeared', '--yes');
    expect(checkinsIn(join(dirname(old.path), 'reappeared.fossil'))).toEqual(await checkinsOf(old.id));
    expect(checkinsIn(fresh.path)).not.toEqual(await checkinsOf(old.id));
  });

  test('what was let in before the name was closed is waited for, and is in the replica', async () => {
    const { id, path } = await create('late');
    using writer = new DatabaseSync(path);
    writer.exec("BEGIN IMMEDIATE; INSERT INTO config(name, value, mtime) VALUES ('late', 'yes', 0)");
    const deleted = forge.cli('repo', 'delete', 'late', '--yes');
    await eventually(() => existsSync(closedMark(pathsUnder(forge.root), 'late')), 10_000, 'it is closed');
    await sleep(1_000);
    writer.exec('COMMIT');
    writer.close();
    expect((await deleted).code).toBe(0);
    const fetched = join(someone.home, 'late.fossil');
    await restore(id, fetched);
    expect(query(fetched, "SELECT value FROM config WHERE name = 'late'")).toEqual([{ value: 'yes' }]);
  });

  test('what comes back has the access of today; two of one name are told apart by id; purge destroys', async () => {
    const first = await create('twice', '--visibility', 'public');
    await forge.json('repo', 'delete', 'twice', '--yes');
    const second = await create('twice');
    await forge.json('repo', 'delete', 'twice', '--yes');
    const old = token;
    token = (await forge.json<{ token: string }>('user', 'token', 'admin', '--rotate')).token;
    expect(token).not.toBe(old);

    const said = await forge.cli('repo', 'undelete', 'twice');
    expect(said.code).toBe(2);
    expect(said.stderr).toContain(first.id);
    expect(said.stderr).toContain(second.id);
    const back = await forge.json<Shown>('repo', 'undelete', first.id);
    expect(await someone.canClone(back.cloneUrl)).toBe(true);
    await forge.json('repo', 'configure', 'twice', '--visibility', 'private');
    expect(await someone.canClone(back.cloneUrl.replace('://', `://admin:${old}@`))).toBe(false);
    expect(await someone.canClone(signedIn(back.cloneUrl))).toBe(true);

    const replica = replicaOf(second.id);
    expect((await forge.cli('repo', 'purge', 'twice')).code).toBe(2);
    expect((await forge.cli('repo', 'purge', 'twice', '--dry-run')).stdout).toContain('destroy work/trash');
    expect(existsSync(replica)).toBe(true);
    await forge.json('repo', 'purge', 'twice', '--yes');
    expect(existsSync(join(forge.root, `data/work/trash/${second.id}.fossil`))).toBe(false);
    expect(
      existsSync(replica)
        ? readdirSync(replica, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        : [],
    ).toEqual([]);
    expect((await forge.cli('repo', 'purge', 'twice', '--yes')).code).toBe(2);
    expect((await forge.cli('repo', 'list', '--trash')).stdout).not.toContain('twice');
    expect((await forge.cli('repo', 'show', 'twice')).code).toBe(0);
  });
});

describe('what is kept for a while', () => {
  const day = 24 * 3_600_000;
  const management = () => join(forge.root, 'var/lib/fossilrepo/fossilrepo.db');
  const change = (sql: string) => {
    using database = new DatabaseSync(management(), { timeout: 10_000 });
    database.exec(sql);
  };
  const undoOf = (id: string) => {
    const folder = join(forge.root, 'data/work/undo');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.fossil'))
      .map((name) => join(folder, name))
      .filter(
        (file) => query(file, "SELECT value FROM config WHERE name = 'fossilrepo-id'")[0]?.['value'] === id,
      );
  };
  const files = (folder: string) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      : [];

  test('is there until its time is over; then it is gone from the disk and the replica, and that is said', async () => {
    await using fresh = await startPusher(forge, 'undo-fresh', { pushing: false });
    await using stale = await startPusher(forge, 'undo-stale', { pushing: false });
    const both = [fresh, stale];
    for (const pusher of both) await pusher.one();
    await sleep(1_500);
    const early = new Date();
    for (const pusher of both) await pusher.one();
    await sleep(1_500);
    const late = new Date();
    await forge.json('restore', 'undo-fresh', 'undo-stale', '--at', early.toISOString(), '--yes');
    for (const pusher of both) expect(undoOf(pusher.id)).toHaveLength(1);
    for (const name of ['trash-fresh', 'trash-stale']) await create(name);
    const { id } = await forge.json<Shown>('repo', 'show', 'trash-stale');
    for (const name of ['trash-fresh', 'trash-stale']) await forge.json('repo', 'delete', name, '--yes');
    const trashed = join(forge.root, `data/work/trash/${id}.fossil`);
    const replica = replicaOf(id);
    expect(existsSync(trashed)).toBe(true);
    expect(files(replica)).not.toEqual([]);

    const older = (table: string, column: string, days: number, where: string) =>
      change(`UPDATE ${table} SET ${column} = ${column} - ${Math.round(days * day)} WHERE ${where}`);
    older('restore', 'begun_at', 6.9, `repository = '${fresh.id}'`);
    older('restore', 'begun_at', 7.1, `repository = '${stale.id}'`);
    older('repository', 'deleted_at', 29.9, "name = 'trash-fresh'");
    older('repository', 'deleted_at', 30.1, "name = 'trash-stale'");
    await forge.stop();
    await forge.start();
    await eventually(() => files(replica).length === 0 && !existsSync(trashed), 60_000, 'it is purged');

    expect(undoOf(stale.id)).toEqual([]);
    const refused = await forge.cli('restore', 'undo-stale', '--undo', '--yes');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /The last restore of undo-stale, or its undo, on .* can't be taken back any more/,
    );
    expect(refused.stderr).toContain('kept for seven days');
    expect(checkinsIn(stale.path)).toHaveLength(2);
    await forge.json('restore', 'undo-stale', '--at', late.toISOString(), '--yes');
    expect(stale.lostLive()).toEqual([]);
    await forge.json('restore', 'undo-fresh', '--undo', '--yes');
    expect(fresh.lostLive()).toEqual([]);

    const trash = await forge.cli('repo', 'list', '--trash');
    expect(trash.stdout).toContain('trash-fresh');
    expect(trash.stdout).not.toContain('trash-stale');
    for (const command of [
      ['repo', 'undelete', id],
      ['restore', id, '--at', early.toISOString(), '--yes'],
      ['backup', 'list', id],
    ]) {
      const said = await forge.cli(...command);
      expect(said.code, said.stderr).toBe(2);
      expect(said.stderr).toMatch(new RegExp(`There is no (repository )?${id}.* in the trash`));
    }
    expect(query(management(), "SELECT text FROM event WHERE kind = 'purged'")).toEqual([
      { text: 'trash-stale had been in the trash for long enough, and is gone' },
    ]);
    expect(await forge.json('repo', 'undelete', 'trash-fresh')).toMatchObject({ checkins: 1 });
  });
});

describe('repo verify', () => {
  test('names what is damaged, and answers 4', async () => {
    const { path, cloneUrl } = await create('rotten');
    const folder = await checkout(cloneUrl);
    await someone.commit(folder, 'apple.txt', 'an apple\n'.repeat(50));
    expect(await someone.push(folder)).toBe(true);
    expect(await forge.cli('repo', 'verify', 'rotten')).toMatchObject({ code: 0 });
    const [blob] = query(
      path,
      "SELECT blob.rid FROM blob JOIN mlink ON fid = blob.rid JOIN filename USING (fnid) WHERE name = 'apple.txt'",
    );
    const [wrong] = query(
      path,
      "SELECT content FROM blob WHERE rid = (SELECT objid FROM event WHERE type = 'ci' LIMIT 1)",
    );
    using database = new DatabaseSync(path, { timeout: 15_000 });
    database
      .prepare('UPDATE blob SET content = ? WHERE rid = ?')
      .run(wrong?.['content'] as Uint8Array, Number(blob?.['rid']));
    const said = await forge.cli('repo', 'verify', 'rotten');
    expect(said.code).toBe(4);
    expect(said.stdout).toContain('BAD rotten');
    expect(said.stdout).toContain('apple.txt');
    expect((await forge.cli('repo', 'verify')).code).toBe(4);
    expect((await forge.cli('repo', 'verify', 'phoenix')).code).toBe(0);
  });
});

describe('user token --rotate', () => {
  test('replaces it everywhere; the loop goes on with a repository that was locked', async () => {
    const { path, cloneUrl } = await create('locked');
    const free = await create('free');
    const before = token;
    const locker = spawn('sqlite3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
    locker.stdin.write('BEGIN IMMEDIATE;\nSELECT 1;\n');
    await new Promise((resolve) => locker.stdout.once('data', resolve));
    const dry = await forge.cli('user', 'token', 'admin', '--rotate', '--dry-run', '--yes');
    expect(dry.stdout.split('\n')).toContain('- write another token of admin into free');
    expect((await forge.cli('user', 'token', 'admin')).stdout.trim()).toBe(before);
    const said = await forge.cli('--json', 'user', 'token', 'admin', '--rotate', '--yes');
    expect(said.code).toBe(6);
    expect(said.stderr).toContain('locked');
    token = (JSON.parse(said.stdout) as { token: string }).token;
    const with_ = (url: string, one: string) => url.replace('://', `://admin:${one}@`);
    expect(await someone.canClone(with_(free.cloneUrl, before))).toBe(false);
    expect(await someone.canClone(with_(free.cloneUrl, token))).toBe(true);
    const ended = new Promise((resolve) => locker.once('exit', resolve));
    locker.stdin.end('ROLLBACK;\n');
    await ended;
    await eventually(() => someone.canClone(with_(cloneUrl, token)), 60_000, 'the loop goes on');
    expect(await someone.canClone(with_(cloneUrl, before))).toBe(false);
    const later = await create('later');
    expect(await someone.canClone(signedIn(later.cloneUrl))).toBe(true);
    // It is nowhere in clear.
    const stored = readFileSync(join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'));
    expect(stored.includes(token)).toBe(false);
  });
});

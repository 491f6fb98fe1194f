import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { headerBytes, listHistory } from '../../src/backup/history.ts';
import { managementId, partKey } from '../../src/backup/location.ts';
import { s3Store } from '../../src/backup/s3-store.ts';
import { pathsUnder, routeMark } from '../../src/config/paths.ts';
import { loadSecrets } from '../../src/secrets/load.ts';
import { seal } from '../../src/secrets/seal.ts';
import { insertMember, updateMember } from '../../src/store/members.ts';
import { openStore } from '../../src/store/store.ts';
import { newPerson, type Person, type Shown } from './client.ts';
import type { Difference } from '../../src/repos/contents/difference.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { type S3, startS3 } from './s3.ts';
import { smallDisk } from './small-disk.ts';
import { query } from './support/fossil-lab.ts';

type Restored = {
  restored: { name: string; at: string; undo: string; unfinished: string | null }[];
  failed: { name: string }[];
};
type Planned = {
  repositories: {
    name: string;
    difference: { kinds: { checkins: { lost: { count: number } } } };
    steps: object[];
  }[];
};

const checkinsIn = (file: string): string[] =>
  query(
    file,
    "SELECT uuid FROM event JOIN blob ON blob.rid = event.objid WHERE type = 'ci' ORDER BY event.mtime",
  )
    .map((row) => String(row['uuid']))
    // The first one is Fossil's own.
    .slice(1);

describe.each(['directory', 's3'])('restore from a replica in a %s', (kind) => {
  let s3: S3 | undefined;
  let forge: TestForge;
  let someone: Person;
  let token: string;
  beforeAll(async () => {
    s3 = kind === 's3' ? await startS3() : undefined;
    forge = await startForge({ ...(s3 && { s3 }) });
    someone = newPerson();
    token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
  });
  afterAll(async () => {
    someone[Symbol.dispose]();
    await forge[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  const restore = (...args: string[]) => forge.json<Restored>('restore', ...args, '--yes');

  test('five moments, each a second and a half after a push, are exactly what was there; undo takes each back', async () => {
    await using pusher = await startPusher(forge, 'moments', { pushing: false });
    const moments: { at: Date; had: string[] }[] = [];
    for (let number = 0; number < 8; number++) {
      await pusher.one();
      await sleep(1_500);
      moments.push({ at: new Date(), had: [...pusher.acknowledged] });
    }
    expect(pusher.acknowledged).toHaveLength(8);
    for (const index of [6, 1, 4, 0, 5]) {
      const { at, had } = moments[index] ?? { at: new Date(), had: [] };
      const said = await restore('moments', '--at', at.toISOString());
      expect(said.restored).toMatchObject([{ name: 'moments', at: at.toISOString() }]);
      expect(checkinsIn(pusher.path), `moment ${index}`).toEqual(had);
      expect((await fetch(pusher.url)).status).toBe(200);
    }
    // Each kept what was there before it: the moment before.
    await restore('moments', '--undo');
    expect(checkinsIn(pusher.path)).toEqual(moments[0]?.had);
    await restore('moments', '--redo');
    expect(checkinsIn(pusher.path)).toEqual(moments[5]?.had);
    // The moments before the restores can still be reached.
    await restore('moments', '--at', moments[7]?.at.toISOString() ?? '');
    expect(checkinsIn(pusher.path)).toEqual(pusher.acknowledged);
    // And it goes on.
    expect(await pusher.one()).toBe(true);
    expect((await forge.cli('backup', 'now', 'moments')).code).toBe(0);
    expect(await pusher.lostInReplica()).toEqual([]);
  });

  test('beside each object Litestream noted the time that is in its header: a damaged one is seen by it', async () => {
    const instance = instanceOf(forge.root);
    const store = s3
      ? s3Store(
          { kind: 's3', bucket: s3.bucket, prefix: 'forge', endpoint: s3.endpoint, region: 'us-east-1' },
          s3,
        )
      : directoryStore(join(forge.root, 'var/backups/fossilrepo'));
    const kind = s3 ? 's3' : 'directory';
    const history = await listHistory({ store, kind, key: partKey(instance, managementId) });
    expect(history.length).toBeGreaterThan(0);
    for (const { key, modified } of history) {
      const head = await store.head(key, headerBytes);
      // Litestream may have merged it away meanwhile, and dates a file when it is in its place.
      if (head && Date.now() - modified.getTime() > 2_000)
        expect(Number(head.bytes.readBigUInt64BE(32)), key).toBe(head.dated?.getTime());
    }
  });

  test('under pushes nothing that was acknowledged is lost to undo', async () => {
    await using pusher = await startPusher(forge, 'stream');
    await eventually(() => pusher.acknowledged.length >= 4, 30_000, 'pushes go through');
    const at = new Date();
    await sleep(3_000);
    const started = performance.now();
    await restore('stream', '--at', at.toISOString());
    process.stdout.write(`${kind}: restore under pushes ${Math.round(performance.now() - started)} ms\n`);
    const upToNow = pusher.acknowledged.length;
    await eventually(() => pusher.acknowledged.length >= upToNow + 4, 60_000, 'pushes go on');
    await pusher.stop();
    const [undo, ...others] = readdirSync(join(forge.root, 'data/work/undo'))
      .map((name) => join(forge.root, 'data/work/undo', name))
      .filter(
        (file) =>
          query(file, "SELECT value FROM config WHERE name = 'fossilrepo-id'")[0]?.['value'] === pusher.id,
      );
    expect(others).toEqual([]);
    const kept = new Set([...checkinsIn(undo ?? ''), ...checkinsIn(pusher.path)]);
    expect(pusher.acknowledged.filter((hash) => !kept.has(hash))).toEqual([]);
    const refused = await forge.cli('restore', 'stream', '--undo');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--yes');
    // What came since the restore is told before that is asked for.
    const [told = '', asked] = refused.stderr.split('--yes', 2);
    expect(asked).toBeDefined();
    expect(told).toMatch(/Pushed since the restore, and gone with it:\n +\d+ check-ins?\b.*, received /);
    await restore('stream', '--undo');
    expect((await forge.cli('backup', 'now', 'stream')).code).toBe(0);
  });

  test('an idle repository restores at now; outside the window it says the window', async () => {
    const { id, path } = await forge.json<Shown>('repo', 'create', 'idle');
    await restore('idle', '--at', 'now');
    expect(query(path, "SELECT value FROM config WHERE name = 'fossilrepo-id'")[0]?.['value']).toBe(id);
    const early = await forge.cli('restore', 'idle', '--at', '2d', '--yes');
    expect(early.code).toBe(2);
    expect(early.stderr).toMatch(/can be restored from \d{4}-/);
    expect(early.stderr).toMatch(/^To \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})? [+-]\d\d:\d\d:$/m);
    const late = await forge.cli('restore', 'idle', '--at', '2199-01-01', '--yes');
    expect(late.code).toBe(2);
    expect(late.stderr).toContain('in the future');
    expect((await forge.cli('restore', 'idle', '--at', 'yesterday', '--yes')).code).toBe(2);
    expect((await forge.cli('restore', 'nobody', '--at', '1s', '--yes')).code).not.toBe(0);
  });

  test('one that was renamed restores to before it, and keeps name, access and visibility of today', async () => {
    const { cloneUrl } = await forge.json<Shown>('repo', 'create', 'former', '--visibility', 'public');
    await sleep(1_200);
    const at = new Date();
    await sleep(1_200);
    await forge.json('repo', 'rename', 'former', 'latter');
    await forge.json('repo', 'configure', 'latter', '--visibility', 'private');
    await forge.json('user', 'token', 'admin', '--rotate');
    await restore('latter', '--at', at.toISOString());
    const { cloneUrl: now } = await forge.json<Shown>('repo', 'show', 'latter');
    expect(now).not.toBe(cloneUrl);
    expect(await someone.canClone(now)).toBe(false);
    expect(await someone.canClone(now.replace('://', `://admin:${token}@`))).toBe(false);
    token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
    expect(await someone.canClone(now.replace('://', `://admin:${token}@`))).toBe(true);
  });

  test('a member who was revoked and a token that was replaced stay outside, whatever state comes back', async () => {
    await using pusher = await startPusher(forge, 'members', { pushing: false });
    await pusher.one();
    const paths = pathsUnder(forge.root);
    using store = openStore(paths);
    const { id } = insertMember(store, {
      login: 'eve',
      administrator: true,
      passwordHash: '',
      sealedToken: seal(loadSecrets(paths).instanceKey, 'token:eve', 'none yet'),
    });
    const rotate = async (login: string) =>
      (await forge.json<{ token: string }>('user', 'token', login, '--rotate')).token;
    const hers = await rotate('eve');
    const folder = await someone.checkout(pusher.cloneUrl, `eve:${hers}`);
    const say = async (name: string) => {
      await someone.commit(folder, name, name);
      return someone.push(folder);
    };
    expect(await say('hello.txt')).toBe(true);
    const then = checkinsIn(pusher.path);
    await sleep(1_500);
    const at = new Date();
    await sleep(1_200);
    await pusher.one();
    const today = checkinsIn(pusher.path);
    const former = token;
    updateMember(store, id, { disabledAt: Date.now() });
    token = await rotate('admin');

    const letIn = async (login: string, password: string) =>
      someone.canClone(pusher.cloneUrl.replace('://', `://${login}:${password}@`));
    let tries = 0;
    const outside = async (had: string[]) => {
      expect(await letIn('eve', hers)).toBe(false);
      expect(await letIn('admin', former)).toBe(false);
      expect(await say(`late-${++tries}.txt`)).toBe(false);
      // With the administrator's former token in its clone.
      expect(await pusher.push()).toBe(false);
      expect(checkinsIn(pusher.path)).toEqual(had);
      expect(await letIn('admin', token)).toBe(true);
    };
    await outside(today);
    // As it was then it would let both in.
    const given = join(forge.root, 'as-it-was');
    mkdirSync(given);
    chmodSync(given, 0o777);
    await restore('members', '--at', at.toISOString(), '--into', given);
    const users = "SELECT login FROM user WHERE pw <> '' AND cap <> '' ORDER BY login";
    expect(query(join(given, 'members.fossil'), users)).toEqual([{ login: 'admin' }, { login: 'eve' }]);
    // Access stays as it is, so it is no part of what changes.
    const [plan] = (
      await forge.json<{ repositories: { difference: Difference }[] }>(
        'restore',
        'members',
        '--at',
        at.toISOString(),
        '--dry-run',
      )
    ).repositories;
    const none = { count: 0, items: [] };
    expect(plan?.difference.kinds.users).toEqual({ lost: none, gained: none, changed: none });
    expect(plan?.difference.kinds.checkins.lost.count).toBe(1);
    // Its loop would mend what a restore forgets.
    const resume = await pauseManagement(forge);
    try {
      await restore('members', '--at', at.toISOString());
      await outside(then);
      await restore('members', '--undo');
      await outside(today);
      expect(query(pusher.path, users)).toEqual([{ login: 'admin' }]);
    } finally {
      resume();
    }
  });

  test('--dry-run shows what would change and changes nothing; --into only writes the file', async () => {
    await using pusher = await startPusher(forge, 'dry', { pushing: false });
    await pusher.one();
    await sleep(1_500);
    const at = new Date();
    await pusher.one();
    await pusher.one();
    const planned = await forge.json<Planned>('restore', 'dry', '--at', at.toISOString(), '--dry-run');
    expect(planned.repositories[0]?.difference.kinds.checkins.lost.count).toBe(2);
    expect(checkinsIn(pusher.path)).toEqual(pusher.acknowledged);
    expect(
      readdirSync(join(forge.root, 'data/work/tmp')).filter((name) => name.startsWith('restore-')),
    ).toEqual([]);
    // It can't come back elsewhere, and is not overwritten instead.
    for (const elsewhere of [['--as', 'beside'], ['--in-trash']]) {
      const said = await forge.cli('restore', 'dry', '--at', at.toISOString(), ...elsewhere, '--yes');
      expect(said.code, said.stderr).toBe(2);
      expect(said.stderr).toContain('fossilrepo restore dry --at TIME --into FOLDER');
      const aside = ['--at', at.toISOString(), '--into', forge.root];
      expect((await forge.cli('restore', 'dry', ...aside, ...elsewhere)).code).toBe(2);
    }
    expect(checkinsIn(pusher.path)).toEqual(pusher.acknowledged);
    const into = mkdtempSync(join(tmpdir(), 'into-'));
    try {
      const refused = await forge.cli(
        'restore',
        'dry',
        '--at',
        at.toISOString(),
        '--into',
        join(into, 'missing'),
      );
      expect(refused.code).toBe(2);
      const folder = join(forge.root, 'given');
      expect((await someone.run(['true'])).code).toBe(0);
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o777);
      const written = ['--at', at.toISOString(), '--into', folder];
      const file = join(folder, 'dry.fossil');
      const would = await forge.json<{ repositories: { bytes: number }[] }>(
        'restore',
        'dry',
        ...written,
        '--dry-run',
      );
      expect(would).toMatchObject({ restored: [], repositories: [{ name: 'dry', file }] });
      expect(readdirSync(folder)).toEqual([]);
      await restore('dry', ...written);
      expect(would.repositories[0]?.bytes).toBe(statSync(file).size);
      expect(readdirSync(folder)).toEqual(['dry.fossil']);
      expect(checkinsIn(file)).toEqual(pusher.acknowledged.slice(0, 1));
      expect((await forge.cli('restore', 'dry', ...written)).code).toBe(2);
      // A disk with room for it once, and for no exchange, will do.
      using disk = smallDisk();
      const { bavail, bsize } = statfsSync(disk.folder);
      const others = join(disk.folder, 'others');
      execFileSync('fallocate', ['-l', String(bavail * bsize - 2 * statSync(file).size), others]);
      const tight = ['--at', at.toISOString(), '--into', disk.folder];
      await restore('dry', ...tight);
      rmSync(join(disk.folder, 'dry.fossil'));
      disk.fill();
      const full = await forge.cli('restore', 'dry', ...tight);
      expect(full.code).toBe(1);
      expect(full.stderr).toContain('Make room there');
    } finally {
      rmSync(into, { recursive: true, force: true });
    }
  });

  test('a deleted one comes back into service, or stays in the trash, at that moment', async () => {
    await using pusher = await startPusher(forge, 'deleted', { pushing: false });
    await pusher.one();
    await sleep(1_500);
    const at = new Date();
    await pusher.one();
    await forge.json('repo', 'delete', 'deleted', '--yes');
    await restore('deleted', '--at', at.toISOString(), '--in-trash');
    expect(existsSync(pusher.path)).toBe(false);
    await restore(pusher.id, '--at', at.toISOString(), '--as', 'again');
    const { path } = await forge.json<Shown>('repo', 'show', 'again');
    expect(checkinsIn(path)).toEqual(pusher.acknowledged.slice(0, 1));
    await restore('again', '--undo');
    expect((await forge.cli('backup', 'now', 'again')).code).toBe(0);
  });

  test('two deleted ones of one name come back one after the other', async () => {
    const twin = async () => {
      const { id } = await forge.json<Shown>('repo', 'create', 'twin');
      await forge.json('repo', 'delete', 'twin', '--yes');
      return id;
    };
    const ids = [await twin(), await twin()];
    const said = await forge.cli('restore', ...ids, '--at', 'now', '--yes');
    expect(said.code).toBe(2);
    expect(said.stderr).toContain('Two of them would come back as twin');
    const folder = join(forge.root, 'twins');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const written = await forge.cli('restore', ...ids, '--at', 'now', '--into', folder);
    expect(written.code).toBe(2);
    expect(written.stderr).toContain('Two of them would be written as twin.fossil');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('--shun keeps clones from bringing back what is lost, until --undo; what is shunned today stays so', async () => {
    await using pusher = await startPusher(forge, 'shunned', { pushing: false });
    await pusher.one();
    const [first = ''] = pusher.acknowledged;
    await sleep(1_500);
    const at = new Date();
    await pusher.one();
    const [, lost = ''] = pusher.acknowledged;
    await pusher.byHand(
      'sql',
      `INSERT INTO shun(uuid, mtime, scom) VALUES ('${'a'.repeat(64)}', 1, 'spam');`,
    );
    const { repositories } = await forge.json<{ repositories: { difference: Difference }[] }>(
      'restore',
      'shunned',
      '--at',
      at.toISOString(),
      '--dry-run',
    );
    expect(repositories[0]?.difference.kinds.shunned.lost.count).toBe(0);
    await restore('shunned', '--at', at.toISOString(), '--shun');
    await pusher.push();
    expect(checkinsIn(pusher.path)).toEqual([first]);
    const shun = () => query(pusher.path, 'SELECT uuid, scom FROM shun').map((row) => row['scom']);
    expect(shun()).toContain('spam');
    await restore('shunned', '--undo');
    expect(checkinsIn(pusher.path)).toEqual([first, lost]);
    expect(shun()).toEqual(['spam']);
  });

  test('what --shun forbids stays so after a restore to an earlier time, which --undo takes back exactly', async () => {
    await using pusher = await startPusher(forge, 'shunned-twice', { pushing: false });
    const moments: string[] = [];
    for (let number = 0; number < 3; number++) {
      await pusher.one();
      await sleep(1_500);
      moments.push(new Date().toISOString());
    }
    const [early = '', late = '', all = ''] = moments;
    const [first = '', second = '', third = ''] = pusher.acknowledged;
    const shun = () => query(pusher.path, 'SELECT uuid, scom FROM shun ORDER BY uuid');
    await restore('shunned-twice', '--at', late, '--shun');
    const shunned = shun();
    expect(shunned.map((row) => row['uuid'])).toContain(third);
    await restore('shunned-twice', '--at', early);
    expect(shun()).toEqual(shunned);
    // It has both, and may bring back the one.
    await pusher.push();
    expect(checkinsIn(pusher.path)).toEqual([first, second]);
    await restore('shunned-twice', '--undo');
    expect(shun()).toEqual(shunned);
    await pusher.push();
    expect(checkinsIn(pusher.path)).toEqual([first, second]);
    // Whoever asks for a state that holds it wants it again.
    await restore('shunned-twice', '--at', all);
    expect(shun()).toEqual([]);
    expect(checkinsIn(pusher.path)).toEqual([first, second, third]);
  });

  test('repo maintain under pushes loses nothing, and the replica goes on', async () => {
    await using pusher = await startPusher(forge, 'maintained');
    await eventually(() => pusher.acknowledged.length >= 4, 30_000, 'pushes go through');
    await forge.json('repo', 'maintain', 'maintained');
    const before = pusher.acknowledged.length;
    await eventually(() => pusher.acknowledged.length >= before + 3, 30_000, 'pushes go on');
    await pusher.stop();
    expect(pusher.lostLive()).toEqual([]);
    // More than a thousand pages: Litestream has to write the log into the database, and needs its own tables for that.
    await pusher.byHand(
      'sql',
      'CREATE TABLE fx_many(x); WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO fx_many SELECT randomblob(4000) FROM n;',
    );
    expect((await forge.cli('backup', 'now', 'maintained')).code).toBe(0);
    await pusher.byHand('sql', 'DROP TABLE fx_many;');
    expect((await forge.cli('backup', 'now', 'maintained')).code).toBe(0);
    expect(await pusher.lostInReplica()).toEqual([]);
    await restore('maintained', '--at', 'now');
    expect(pusher.lostLive()).toEqual([]);
  });

  test('repo maintain removes what is shunned, and nothing else', async () => {
    await using pusher = await startPusher(forge, 'spammed', { pushing: false });
    await pusher.one();
    await pusher.one();
    const artifacts = () =>
      query(pusher.path, 'SELECT uuid FROM blob WHERE size >= 0').map((row) => row['uuid']);
    const before = artifacts();
    // What later ones may be stored as a difference to.
    const [spam] = query(
      pusher.path,
      'SELECT uuid FROM mlink JOIN blob ON blob.rid = mlink.fid ORDER BY rid LIMIT 1',
    ).map((row) => row['uuid']);
    await pusher.byHand('sql', `INSERT INTO shun(uuid, mtime, scom) VALUES ('${String(spam)}', 1, 'spam');`);
    await forge.json('repo', 'maintain', 'spammed');
    expect(artifacts().sort()).toEqual(before.filter((hash) => hash !== spam).sort());
    await pusher.one();
    expect(pusher.lostLive()).toEqual([]);
    await restore('spammed', '--at', 'now');
    expect(pusher.lostLive()).toEqual([]);
  });

  test('what fails after the exchange is told as that: the state is in its place, and the rest is done by itself', async () => {
    await using pusher = await startPusher(forge, 'shut', { pushing: false });
    await pusher.one();
    await sleep(1_500);
    const at = new Date();
    await pusher.one();
    // Its loop would mend that at once.
    const resume = await pauseManagement(forge);
    try {
      rmSync(routeMark(pathsUnder(forge.root), 'shut'));
      const said = await forge.cli('--json', 'restore', 'shut', '--at', at.toISOString(), '--yes');
      expect(said.code, said.stderr).toBe(6);
      const { restored, failed } = JSON.parse(said.stdout) as Restored;
      expect(failed).toEqual([]);
      expect(restored).toMatchObject([{ name: 'shut', undo: 'fossilrepo restore shut --undo' }]);
      expect(restored[0]?.unfinished).toMatch(/does not answer: HTTP 404/);
      expect(checkinsIn(pusher.path)).toEqual(pusher.acknowledged.slice(0, 1));
      const undone = await forge.cli('restore', 'shut', '--undo', '--yes');
      expect(undone.code, undone.stderr).toBe(6);
      expect(undone.stdout).toContain('shut is restored.');
      expect(undone.stdout).toContain('What comes after that failed for shut: ');
      expect(undone.stdout + undone.stderr).not.toContain('not restored');
      expect(checkinsIn(pusher.path)).toEqual(pusher.acknowledged);
    } finally {
      resume();
    }
    await eventually(async () => (await fetch(pusher.url)).status === 200, 30_000, 'it is served again');
    expect(await pusher.one()).toBe(true);
  });

  test('several to one instant; one that can not be restored does not keep the others from it', async () => {
    await forge.json('repo', 'create', 'one');
    await forge.json('repo', 'create', 'two');
    await sleep(1_500);
    const at = new Date();
    await sleep(1_200);
    await forge.json('repo', 'create', 'three');
    const said = await forge.cli(
      '--json',
      'restore',
      'one',
      'three',
      'two',
      '--at',
      at.toISOString(),
      '--yes',
    );
    expect(said.code).toBe(6);
    const { restored, failed } = JSON.parse(said.stdout) as Restored;
    expect(restored.map(({ name }) => name).sort()).toEqual(['one', 'two']);
    expect(failed).toMatchObject([{ name: 'three' }]);
    for (const count of ['1 of 3', '2 of 3', '3 of 3', '1 of 2', '2 of 2'])
      expect(said.stderr.split(`(${count})`), count).toHaveLength(2);
    expect(said.stderr).toMatch(/^- three: can't be restored \(\d of 3\)$/m);
    expect(said.stderr).toMatch(/^- (one|two) is as it was at .* \(2 of 2\)$/m);
    // By its name and by its id it is one.
    const { id } = await forge.json<Shown>('repo', 'show', 'one');
    const twice = await forge.json<Planned>('restore', 'one', id, '--at', at.toISOString(), '--dry-run');
    expect(twice.repositories).toHaveLength(1);
    const all = await forge.cli('restore', '--all', '--at', at.toISOString(), '--yes');
    expect(all.code, all.stdout + all.stderr).toBe(0);
    expect(all.stderr).toContain('three');
    const [, names = ''] =
      /^To take all of it back: fossilrepo restore (.*\bone\b.*) --undo$/m.exec(all.stdout) ?? [];
    const undone = await forge.cli('restore', ...names.split(' '), '--undo', '--yes');
    expect(undone.code, undone.stdout + undone.stderr).toBe(0);
    expect(undone.stdout).toMatch(/^To take all of it back: fossilrepo restore .* --redo$/m);
    const unnamed = await forge.cli('restore', '--all', '--undo');
    expect(unnamed.code).toBe(2);
    expect(unnamed.stderr).toContain('Name the repositories for --undo');
    const mistyped = await forge.cli('restore', 'noe', '--at', 'now', '--yes');
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toContain('There is no repository noe, in service or in the trash.');
  });
});

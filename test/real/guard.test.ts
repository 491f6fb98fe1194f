import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failedAs, litestreamControl } from '../../src/backup/control.ts';
import { unguarded } from '../../src/backup/guard.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { withLock } from '../../src/system/locks.ts';
import { recordLocks } from '../../src/system/record-locks.ts';
import { run } from '../../src/system/run.ts';
import type { Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { replicaFolderOf, startPusher } from './pusher.ts';

let forge: TestForge;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(async () => {
  await forge[Symbol.asyncDispose]();
});

const isGuarded = (file: string) => unguarded([file], forge.pidOf('replication'), recordLocks()).length === 0;
const replicaOf = (id: string) => replicaFolderOf(join(forge.root, 'var/backups/fossilrepo'), forge.root, id);
const litestream = join(programHome, 'embedded/programs/bin/litestream');

/** Each state that the replica has of a database, read to the end. @returns what is wrong, by transaction */
async function brokenStates(id: string): Promise<string[]> {
  const folder = replicaOf(id);
  const into = mkdtempSync(join(tmpdir(), 'states-'));
  try {
    const broken: string[] = [];
    for (const name of readdirSync(join(folder, 'ltx/0')).sort()) {
      const file = join(into, name);
      const txid = name.slice(17, 33);
      await run({ argv: [litestream, 'restore', '-txid', txid, '-o', file, `file://${folder}`] });
      using database = new DatabaseSync(file);
      const [said] = database.prepare('PRAGMA integrity_check').all();
      if (said?.['integrity_check'] !== 'ok') broken.push(`${name}: ${JSON.stringify(said)}`);
    }
    return broken;
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
}

/** Where a descriptor leads; it may be closed meanwhile. */
function readlinkIfThere(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

async function control(path: string, body: object): Promise<void> {
  const socketPath = join(forge.root, 'run/fossilrepo/litestream/control.sock');
  await new Promise<void>((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST' }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

describe('the write-ahead log', () => {
  test('of a new repository is guarded from the first moment, and every state in the replica is whole', async () => {
    for (let number = 0; number < 4; number++) {
      await using pusher = await startPusher(forge, `new-${number}`, { pushing: false });
      expect(isGuarded(pusher.path)).toBe(true);
      for (let push = 0; push < 3; push++) await pusher.one();
      expect((await forge.cli('backup', 'now', `new-${number}`)).code).toBe(0);
      expect(isGuarded(pusher.path)).toBe(true);
      expect(await brokenStates(pusher.id)).toEqual([]);
    }
  });

  test('is guarded again when Litestream let go of it', async () => {
    const { path, id } = await forge.json<Shown>('repo', 'create', 'bare');
    await control('/unregister', { path, timeout: 5 });
    await control('/register', { path, replica_url: `file://${replicaOf(id)}` });
    // What Litestream does under a deadline of its own ends with it, the guard too.
    await control('/sync', { path, wait: true, timeout: 5 });
    expect(isGuarded(path)).toBe(false);
    const took = await eventually(() => isGuarded(path), 20_000, 'it is guarded again');
    process.stdout.write(`guarded again after ${Math.round(took)} ms\n`);
    const { stdout } = await forge.cli('status');
    expect(stdout).toContain('may have missed changes');
  });

  test('is in nobody’s hands once Litestream let go of it, however often it is asked to send it meanwhile', async () => {
    await using pusher = await startPusher(forge, 'held', { every: 100 });
    const { path, id } = pusher;
    const litestreamOf = litestreamControl(pathsUnder(forge.root));
    const goOn = await pauseManagement(forge);
    const pid = String(forge.pidOf('replication'));
    const held = () =>
      readdirSync(join('/proc', pid, 'fd'))
        .map((fd) => readlinkIfThere(join('/proc', pid, 'fd', fd)))
        .filter((file) => file.startsWith(path));
    const ask = (): Promise<unknown> =>
      litestreamOf.syncNow(path, 10_000).catch((error: unknown) => {
        if (!failedAs(error, 'unknown')) throw error;
      });
    try {
      for (let round = 0; round < 30; round++) {
        const asked = Array.from({ length: 6 }, ask);
        await sleep(round % 5);
        await Promise.all([litestreamOf.unregister(path), ...asked]);
        await sleep(50);
        expect(held(), `round ${round}`).toEqual([]);
        await litestreamOf.register(path, `file://${replicaOf(id)}`);
        await sleep(100);
      }
    } finally {
      goOn();
    }
    await pusher.stop();
    expect((await forge.cli('backup', 'now', 'held')).code).toBe(0);
    expect(await pusher.lostInReplica()).toEqual([]);
  });

  test('that Litestream is without for a moment, while a command works, is waited for by backup now', async () => {
    const { path, id } = await forge.json<Shown>('repo', 'create', 'waited-for');
    const paths = pathsUnder(forge.root);
    const litestreamOf = litestreamControl(paths);
    let asked: ReturnType<TestForge['cli']> | undefined;
    await withLock(paths, 'changes', 60_000, async () => {
      await litestreamOf.unregister(path);
      asked = forge.cli('backup', 'now', 'waited-for');
      // It starts slowly on a machine that has much to do; what it finds then is what it was asked for.
      await sleep(4_000);
      await litestreamOf.register(path, `file://${replicaOf(id)}`);
    });
    expect(await asked).toMatchObject({ code: 0, stderr: '' });
  });

  test('that was begun anew while Litestream was dead leads to a whole copy', async () => {
    const { path, id } = await forge.json<Shown>('repo', 'create', 'anew');
    const keeper = new DatabaseSync(path);
    keeper.exec(
      'CREATE TABLE one(x); CREATE TABLE two(x); INSERT INTO one VALUES (0); INSERT INTO two VALUES (0)',
    );
    expect((await forge.cli('backup', 'now', 'anew')).code).toBe(0);
    const before = forge.pidOf('replication');
    process.kill(before, 'SIGKILL');
    await sleep(100);
    // The log goes on, is written into the database by somebody, and the next writer begins it anew, shorter than it was.
    const writer = new DatabaseSync(path);
    writer.exec('UPDATE one SET x = 1; PRAGMA wal_checkpoint(PASSIVE); UPDATE two SET x = 1');
    writer.close();
    await eventually(() => forge.pidOf('replication') !== before, 10_000, 'Litestream is back');
    const latest = async () => {
      const into = mkdtempSync(join(tmpdir(), 'latest-'));
      try {
        await run({ argv: [litestream, 'restore', '-o', join(into, 'x'), `file://${replicaOf(id)}`] });
        using database = new DatabaseSync(join(into, 'x'));
        return database.prepare('SELECT (SELECT x FROM one) AS one, (SELECT x FROM two) AS two').get();
      } finally {
        rmSync(into, { recursive: true, force: true });
      }
    };
    await eventually(
      async () => (await latest())?.['one'] === 1 && (await latest())?.['two'] === 1,
      20_000,
      'both changes are in the replica',
    );
    const told = async () =>
      (await forge.cli('status')).stdout.includes(`may have missed changes of ${path}`);
    await eventually(told, 20_000, 'it was sent anew');
    keeper.close();
  });
});

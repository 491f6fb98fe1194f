import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { undoPlace } from '../../src/plan/exchange.ts';
import { cameBy } from '../../src/repos/restore/fit.ts';
import { giveBack, keepAside } from '../../src/repos/restore/kept.ts';
import { readPresent } from '../../src/repos/restore/present.ts';
import { openStore } from '../../src/store/store.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { startPusher, type Pusher } from './pusher.ts';
import { initRepository, query } from './support/fossil-lab.ts';

type Restored = { restored: { name: string; was: string; undo: string | null }[]; failed: object[] };

function overwrite(file: string, at: number, bytes: Buffer): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, bytes, 0, bytes.length, at);
  closeSync(handle);
}

describe('a repository in service whose file can not be read', () => {
  let forge: TestForge;
  const pushers = new Map<string, Pusher>();
  beforeAll(async () => {
    forge = await startForge({ patience: 300_000 });
    for (const name of ['gone', 'bare', 'header', 'middle', 'empty']) {
      const pusher = await startPusher(forge, name, { pushing: false });
      pushers.set(name, pusher);
      await pusher.one();
      await pusher.one();
    }
    await forge.cli('backup', 'now');
  });
  afterAll(async () => {
    for (const pusher of pushers.values()) await pusher[Symbol.asyncDispose]();
    await forge[Symbol.asyncDispose]();
  });

  const pusherOf = (name: string): Pusher => {
    const pusher = pushers.get(name);
    if (!pusher) throw new Error(name);
    return pusher;
  };
  const toldOf = (name: string) =>
    eventually(
      async () => (await forge.cli('status')).stdout.includes(`fossilrepo restore ${name} --at now`),
      60_000,
      'what to do is told',
    );
  /** It is there again with all that was pushed, is served, takes a push, and that is in the replica. */
  const expectBack = async (name: string) => {
    const pusher = pusherOf(name);
    expect(pusher.lostLive()).toEqual([]);
    expect((await fetch(pusher.url)).status).toBe(200);
    expect(await pusher.one()).toBe(true);
    const backup = await forge.cli('backup', 'now', name);
    expect(backup.code, backup.stdout + backup.stderr).toBe(0);
    expect(await pusher.lostInReplica()).toEqual([]);
  };
  /** The former files that are kept and hold these bytes there. */
  const keptWith = (at: number, bytes: Buffer): string[] => {
    const folder = join(forge.root, 'data/work/undo');
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((file) =>
        readFileSync(file)
          .subarray(at, at + bytes.length)
          .equals(bytes),
      );
  };

  test.each([
    ['gone', 'its log is left', []],
    ['bare', 'nothing of it is left', ['-wal', '-shm']],
  ])('%s: it was deleted, and %s', async (name, _, logs) => {
    const { path } = pusherOf(name);
    for (const suffix of ['', ...logs]) rmSync(path + suffix);
    await toldOf(name);
    const said = await forge.cli('restore', name, '--at', 'now', '--yes');
    expect(said.code, said.stdout + said.stderr).toBe(0);
    expect(said.stderr).toContain('It has no file now; all of it comes back.');
    expect(said.stdout).toContain('There was no file before');
    await expectBack(name);
    const undo = await forge.cli('restore', name, '--undo', '--yes');
    expect(undo.code).toBe(2);
    expect(undo.stderr).toMatch(new RegExp(`Before the last restore of ${name}, .* there was nothing`));
    expect(undo.stderr.includes('.fossil-wal')).toBe(logs.length === 0);
  });

  describe('since it is damaged', () => {
    const zeros = Buffer.alloc(100);
    const garbage = Buffer.alloc(120_000, 'This is no page of a database. ');
    const inTheMiddle = 60_000;
    let at: string;
    let up: Promise<void>;
    beforeAll(async () => {
      await sleep(1_200);
      at = new Date().toISOString();
      await forge.stop();
      overwrite(pusherOf('header').path, 0, zeros);
      overwrite(pusherOf('middle').path, inTheMiddle, garbage);
      truncateSync(pusherOf('empty').path);
      // The same pages may be whole in the log.
      for (const name of ['header', 'middle', 'empty'])
        for (const log of ['-wal', '-shm']) rmSync(pusherOf(name).path + log, { force: true });
      // It is up when all is well: when the last one is back.
      up = forge.start();
      up.catch(() => undefined);
    });

    test('it comes back, however often that is killed; what there was is kept as it is, and not put back', async () => {
      await toldOf('header');
      const dry = await forge.cli('restore', 'header', '--at', at, '--dry-run');
      expect(dry.code, dry.stderr).toBe(0);
      expect(dry.stderr).toMatch(/Its file can't be read: .* is not a Fossil repository/);
      for (const after of [800, 2_000]) {
        await forge.killed(after, 'restore', 'header', '--at', at, '--yes');
        expect(existsSync(pusherOf('header').path)).toBe(true);
      }
      const { restored } = await forge.json<Restored>('restore', 'header', '--at', at, '--yes');
      const [kept = ''] = keptWith(0, zeros);
      expect(kept).not.toBe('');
      await expectBack('header');
      if (restored[0]?.was === 'whole') return;
      expect(restored).toMatchObject([{ name: 'header', was: 'damaged', undo: null }]);
      const undo = await forge.cli('restore', 'header', '--undo', '--yes');
      expect(undo.code).toBe(2);
      expect(undo.stderr).toContain(kept);
    });

    test('all to one instant: one is missing, one is damaged, the others are whole', async () => {
      rmSync(pusherOf('bare').path);
      await toldOf('middle');
      // An empty file is an empty database for SQLite, and Litestream makes its tables in it.
      await toldOf('empty');
      const said = await forge.cli('--json', 'restore', '--all', '--at', at, '--yes');
      expect(said.code, said.stdout + said.stderr).toBe(0);
      const { restored, failed } = JSON.parse(said.stdout) as Restored;
      expect(failed).toEqual([]);
      expect(Object.fromEntries(restored.map(({ name, was }) => [name, was]))).toEqual({
        gone: 'whole',
        bare: 'missing',
        header: 'whole',
        middle: 'damaged',
        empty: 'damaged',
      });
      expect(keptWith(inTheMiddle, garbage)).toHaveLength(1);
      await expectBack('bare');
      await expectBack('middle');
      await expectBack('empty');
      await up;
    });
  });
});

describe('what lies in the place of a state', () => {
  const folder = mkdtempSync(join(tmpdir(), 'present-'));
  const [live, state] = [join(folder, 'live.fossil'), join(folder, 'state.fossil')];
  const whole = join(folder, 'whole.fossil');
  beforeAll(() => initRepository(whole, join(folder, 'home')));
  beforeEach(() => {
    for (const file of [live, state]) copyFileSync(whole, file);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const damages: [string, (file: string) => void][] = [
    ['it is empty', (file) => truncateSync(file)],
    ['it is no database', (file) => overwrite(file, 0, Buffer.alloc(100))],
    ['it has no settings', (file) => query(file, 'DROP TABLE config')],
    ['it has no events', (file) => query(file, 'DROP TABLE event')],
  ];

  const withoutShun = (file: string) => query(file, 'DROP TABLE shun');

  test.each([...damages, ['it lacks what is shunned', withoutShun] as const])(
    '%s: that is its damage alone, and no restore brought it',
    (_, damage) => {
      expect(readPresent(live, state).is).toBe('whole');
      damage(live);
      expect(readPresent(live, state).is).toBe('damaged');
      expect(cameBy(live)).toBeUndefined();
    },
  );

  test.each(damages)("%s: the state's damage is not taken for the file's", (_, damage) => {
    query(live, "INSERT INTO shun(uuid, mtime, scom) VALUES (hex(zeroblob(32)), 0, 'lost by a restore')");
    damage(state);
    expect(() => readPresent(live, state)).toThrow(state);
  });
});

test('a log that was set aside comes back to its own file, and to no other', () => {
  const root = mkdtempSync(join(tmpdir(), 'kept-'));
  const paths = pathsUnder(root);
  const [id, live, keep] = ['1', join(paths.data, 'demo.fossil'), join(paths.data, undoPlace('1'))];
  mkdirSync(join(keep, '..'), { recursive: true });
  try {
    using store = openStore({ database: join(root, 'store.db') });
    const setAside = () => {
      writeFileSync(live, 'file');
      writeFileSync(`${live}-wal`, 'log');
      keepAside(live, keep);
      rmSync(`${live}-wal`);
    };
    const back = () => giveBack({ paths, store }, { id, undoFile: undoPlace(id) }, live);
    setAside();
    back();
    expect(readFileSync(`${live}-wal`, 'utf8')).toBe('log');
    expect(readdirSync(join(keep, '..'))).toEqual([]);
    setAside();
    rmSync(live);
    writeFileSync(live, 'another file');
    back();
    expect(existsSync(`${live}-wal`)).toBe(false);
    expect(readFileSync(`${keep}-wal`, 'utf8')).toBe('log');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

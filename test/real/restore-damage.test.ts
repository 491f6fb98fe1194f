import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHighWater } from '../../src/backup/high-water.ts';
import { filesFor, type HistoryFile, listHistory, newestTxid } from '../../src/backup/history.ts';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { partKey } from '../../src/backup/location.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { setTaken } from './support/ltx.ts';

const copy = (from: string, to: string, preserved: string) =>
  execFileSync('cp', ['-r', `--preserve=${preserved}`, from, to]);

type Pusher = Awaited<ReturnType<typeof startPusher>>;

describe('a history that is not whole', () => {
  let forge: TestForge;
  let pusher: Pusher;
  let replica: string;
  let saved: string;
  const moments: Date[] = [];
  let history: HistoryFile[];

  beforeAll(async () => {
    // Nothing is merged while we look: each level would hold the last transaction once more.
    forge = await startForge({ config: { replica: { step: '7d' } } });
    replica = join(forge.root, 'var/backups/fossilrepo');
    saved = join(forge.root, 'saved');
    pusher = await startPusher(forge, 'demo', { pushing: false });
    for (let number = 0; number < 4; number++) {
      await pusher.one();
      await sleep(1_300);
      moments.push(new Date());
    }
    // Without Litestream nothing heals by itself, as on a server that is gone.
    await forge.cli('backup', 'now');
    history = await listHistory({ store: directoryStore(replica), kind: 'directory', key: key() });
    const marks = async () =>
      (await readHighWater(directoryStore(replica), instanceOf(forge.root))).get(pusher.id) ?? 0;
    const took = await eventually(
      async () => (await marks()) >= newestTxid(history),
      15_000,
      'the mark is written',
    );
    process.stdout.write(`the mark beside the replica: after ${Math.round(took)} ms\n`);
    process.kill(forge.pidOf('management'), 'SIGSTOP');
    copy(join(replica, key()), saved, 'mode,ownership,timestamps');
  });
  afterAll(async () => {
    process.kill(forge.pidOf('management'), 'SIGCONT');
    await forge[Symbol.asyncDispose]();
  });

  const key = () => partKey(instanceOf(forge.root), `repos/${pusher.id}`);
  const file = ({ key: below }: Pick<HistoryFile, 'key'>) => join(replica, below);
  const attempt = (at: Date) => forge.cli('restore', 'demo', '--at', at.toISOString(), '--dry-run');
  const moment = (index: number) => moments[index] ?? new Date();
  /** Restores what was there, with its times, after some damage was looked at. */
  const withDamage = async (damage: () => void, look: () => Promise<void>) => {
    try {
      damage();
      await look();
    } finally {
      // Litestream may put something there just then.
      rmSync(join(replica, key()), { recursive: true, maxRetries: 20 });
      copy(saved, join(replica, key()), 'mode,ownership,timestamps');
    }
    expect((await attempt(moment(2))).code).toBe(0);
  };
  /** The last file that is needed for a moment. */
  const neededAt = (index: number): HistoryFile => {
    const txid = Math.max(
      ...history.filter(({ modified }) => modified <= moment(index)).map(({ max }) => max),
    );
    const last = filesFor(history, txid).files.at(-1);
    if (!last) throw new Error('nothing is needed');
    return last;
  };

  test('is refused with the name of the object in which a byte is flipped, at each level', async () => {
    for (const level of new Set(history.map((one) => one.level))) {
      const victim = history.findLast((one) => one.level === level && one.modified <= moment(2));
      if (
        !victim ||
        !filesFor(history, neededAt(2).max).files.some(({ key: needed }) => needed === victim.key)
      )
        continue;
      await withDamage(
        () => {
          const bytes = readFileSync(file(victim));
          const at = Math.floor(bytes.length / 2);
          bytes[at] = (bytes[at] ?? 0) ^ 0xff;
          writeFileSync(file(victim), bytes);
        },
        async () => {
          const said = await attempt(moment(2));
          expect(said.code, said.stderr).toBe(4);
          expect(said.stderr).toContain(victim.key);
        },
      );
    }
  });

  test('is refused with the name of the object whose time is another: it is not taken for a later one', async () => {
    const victim = history.findLast(({ level, modified }) => level === 0 && modified <= moment(2));
    if (!victim) throw new Error('the history is too short');
    for (const later of [4_096, 1_048_576])
      await withDamage(
        () => setTaken(file(victim), victim.modified.getTime() + later),
        async () => {
          const said = await attempt(moment(2));
          expect(said.code, said.stderr).toBe(4);
          expect(said.stderr).toContain(victim.key);
        },
      );
  });

  test('is refused with the name of the object whose time is an earlier one: what came after the moment is not in it', async () => {
    const victim = history.find(({ level, modified }) => level === 0 && modified > moment(2));
    if (!victim) throw new Error('the history is too short');
    await withDamage(
      () => setTaken(file(victim), moment(2).getTime() - 100),
      async () => {
        const said = await attempt(moment(2));
        expect(said.code, said.stderr).toBe(4);
        expect(said.stderr).toContain(victim.key);
      },
    );
  });

  test('is refused with the name of the object that is cut off, or empty', async () => {
    const victim = neededAt(2);
    for (const length of [0, 50, Math.floor(victim.bytes / 2)])
      await withDamage(
        () => truncateSync(file(victim), length),
        async () => {
          const said = await attempt(moment(2));
          expect(said.code, said.stderr).toBe(4);
          expect(said.stderr).toContain(victim.key);
        },
      );
  });

  test('is refused with the name of the object that is missing: the one needed, the one before, the one behind', async () => {
    const plan = filesFor(history, neededAt(2).max).files;
    const behind = history.find(({ level, min }) => level === 0 && min === neededAt(2).max + 1);
    for (const victim of [plan.at(-1), plan.at(-2), behind]) {
      if (!victim) throw new Error('the history is too short');
      await withDamage(
        () => rmSync(file(victim)),
        async () => {
          const said = await attempt(moment(2));
          expect(said.code, said.stderr).toBe(4);
          expect(said.stderr).toContain(victim.key);
        },
      );
    }
  });

  test('is refused when the last object is missing, by what Litestream says and by the mark beside the replica', async () => {
    const last = history.filter(({ level }) => level === 0).at(-1);
    if (!last) throw new Error('no last one');
    await withDamage(
      () => rmSync(file(last)),
      async () => {
        for (const litestream of ['there', 'gone']) {
          const pid = forge.pidOf('replication');
          if (litestream === 'gone') process.kill(pid, 'SIGSTOP');
          const said = await attempt(new Date());
          if (litestream === 'gone') process.kill(pid, 'SIGCONT');
          expect(said.code, said.stderr).toBe(4);
          expect(said.stderr).toContain(last.key);
        }
      },
    );
  });

  test('is refused when how far it went is no longer readable beside the replica', async () => {
    const marks = join(replica, instanceOf(forge.root), 'high-water.json');
    const kept = readFileSync(marks);
    try {
      const flipped = kept.toString().replace(/(?<=":)\d/, (digit) => (digit === '1' ? '2' : '1'));
      for (const damaged of [kept.subarray(0, kept.length / 2), flipped]) {
        writeFileSync(marks, damaged);
        const said = await attempt(moment(2));
        expect(said.code, said.stderr).toBe(4);
        expect(said.stderr).toContain('high-water.json in the replica is damaged');
      }
    } finally {
      writeFileSync(marks, kept);
    }
    expect((await attempt(moment(2))).code).toBe(0);
  });

  test('and one that is copied without its times is read all the same', async () => {
    await withDamage(
      () => {
        rmSync(join(replica, key()), { recursive: true });
        copy(saved, join(replica, key()), 'mode,ownership');
      },
      async () => {
        const said = await forge.cli(
          '--json',
          'restore',
          'demo',
          '--at',
          moment(1).toISOString(),
          '--dry-run',
        );
        expect(said.code, said.stderr).toBe(0);
      },
    );
  });

  test('what lies beside it, or is not Litestream’s, does not matter', async () => {
    await withDamage(
      () => {
        const victim = neededAt(2);
        renameSync(file(victim), `${file(victim)}.aside`);
        copy(`${file(victim)}.aside`, file(victim), 'mode,ownership,timestamps');
        appendFileSync(join(replica, key(), 'ltx/0/notes.txt'), 'hello');
      },
      async () => {
        expect(existsSync(join(replica, key(), 'ltx/0/notes.txt'))).toBe(true);
        expect((await attempt(moment(2))).code).toBe(0);
      },
    );
  });
});

test('the last push before a repository is deleted is missed, too, though nobody looks at its history any more', async () => {
  await using forge = await startForge({ config: { replica: { step: '7d' } } });
  await using pusher = await startPusher(forge, 'demo', { pushing: false });
  await pusher.one();
  // Just after the marks beside the replica were written: they are each ten seconds.
  await sleep(11_000 - (Date.now() % 10_000));
  await pusher.one();
  await forge.json('repo', 'delete', 'demo', '--yes');
  const replica = join(forge.root, 'var/backups/fossilrepo');
  const key = partKey(instanceOf(forge.root), `repos/${pusher.id}`);
  const last = (await listHistory({ store: directoryStore(replica), kind: 'directory', key })).at(-1);
  if (!last) throw new Error('no last one');
  rmSync(join(replica, last.key));
  const said = await forge.cli('restore', pusher.id, '--at', 'now', '--in-trash', '--yes');
  expect(said.code, said.stderr).toBe(4);
  expect(said.stderr).toContain(last.key);
});

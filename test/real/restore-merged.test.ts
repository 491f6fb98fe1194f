import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { filesFor, type HistoryFile, listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { momentAt } from '../../src/backup/moment.ts';
import { messageOf } from '../../src/errors.ts';
import { artifactsIn } from '../faults/attempt.ts';
import { eventually, startForge } from './forge.ts';
import { hastyLitestream } from './hasty-litestream.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { setTaken } from './support/ltx.ts';

test('what is lost of merged objects and snapshots is refused by name, or was not needed', async () => {
  using hasty = hastyLitestream({ merged: 3, again: 9, snapshot: 13, single: 6 });
  await using forge = await startForge({
    config: { programs: { litestream: hasty.program }, replica: { step: '30s' } },
  });
  await using pusher = await startPusher(forge, 'demo', { every: 400 });
  const replica = join(forge.root, 'var/backups/fossilrepo');
  const key = partKey(instanceOf(forge.root), `repos/${pusher.id}`);
  const store = directoryStore(replica);
  const list = () => listHistory({ store, kind: 'directory', key });
  const onLevel = (files: readonly HistoryFile[], level: number) =>
    files.filter((file) => file.level === level);
  await eventually(
    async () => {
      const files = await list();
      return [1, 2, 9].every((level) => onLevel(files, level).length >= 3) && onLevel(files, 0)[0]?.min !== 1;
    },
    150_000,
    'three objects of each level, and single ones have aged out',
  );
  await pusher.stop();
  expect((await forge.cli('backup', 'now')).code).toBe(0);
  // In the trash it is left alone by Litestream.
  await forge.json('repo', 'delete', 'demo', '--yes');
  const all = await list();
  const known = newestTxid(all);
  // As it is once the snapshots before the second one are past the window, and what was merged before it is.
  const [, second] = onLevel(all, 9);
  const pruned = all.filter(({ level, max }) => level === 0 || max >= (second?.max ?? 0));
  const instants = [
    ...new Set(all.flatMap(({ modified }) => [modified.getTime() - 1, modified.getTime() + 1])),
  ].map((time) => new Date(time));
  /** Which transaction an instant gives, or why none. */
  const look = async (files: readonly HistoryFile[], at: Date) => {
    try {
      return await momentAt({ store, kind: 'directory', key, files }, { at, known });
    } catch (error) {
      return messageOf(error);
    }
  };

  /** One that was refused, of each level, in the history whose beginning is gone. */
  const refused = new Map<number, { gone: HistoryFile; at: Date }>();
  for (const [what, history] of Object.entries({ all, pruned }))
    for (const at of instants) {
      const whole = await look(history, at);
      // Before all that is kept.
      if (typeof whole === 'string') continue;
      for (const gone of history) {
        const left = history.filter((file) => file !== gone);
        const now = await look(left, at);
        const told = `${what}, ${at.toISOString()} without ${gone.key}: ${JSON.stringify(now)}`;
        if (typeof now === 'string') {
          const own = onLevel(history, gone.level);
          const name = gone.key.slice(0, gone.key.lastIndexOf('-') + 1);
          // What a level begins with could be of others as well, or the window begins behind it.
          if (own[0] === gone && gone.level > 0) expect(now, told).toMatch(/is missing|There is no state/);
          else expect(now, told).toContain(name);
          if (history === pruned && now.includes(`/ltx/${gone.level}/`))
            refused.set(gone.level, { gone, at });
        } else if (now.txid !== whole.txid) {
          // A snapshot, and the oldest single one, may be a moment within a merged object: then the one before it is given, and said.
          expect([9, 0], told).toContain(gone.level);
          expect(whole.txid, told).toBe(gone.max);
          expect(now.merged, told).toBe(true);
        }
      }
    }
  // What level 2 has, level 1 has too.
  expect([...refused.keys()].sort()).toEqual([0, 1, 9]);

  // The same with the command.
  for (const object of all) if (!pruned.includes(object)) rmSync(join(replica, object.key));
  let tries = 0;
  const attempt = async (at: Date) => {
    const into = join(forge.root, `into-${++tries}`);
    mkdirSync(into);
    chmodSync(into, 0o777);
    const said = await forge.cli('restore', 'demo', '--at', at.toISOString(), '--into', into);
    return { ...said, artifacts: said.code === 0 ? artifactsIn(join(into, 'demo.fossil')) : [] };
  };
  const without = async ({ key: victim }: HistoryFile, at: Date) => {
    const whole = await attempt(at);
    expect(whole.code, whole.stderr).toBe(0);
    renameSync(join(replica, victim), join(forge.root, 'away'));
    const said = await attempt(at);
    renameSync(join(forge.root, 'away'), join(replica, victim));
    return { whole, said };
  };
  for (const { gone, at } of refused.values()) {
    const { said } = await without(gone, at);
    expect(said.code, `${gone.key}: ${said.stdout}${said.stderr}`).toBe(4);
    expect(said.stderr).toContain(`ltx/${gone.level}/`);
  }
  // A flipped byte of what is needed, at each level; and where something merged ends, too, of the time of a single one.
  const flipped = async (victim: HistoryFile, at: Date, damage: (path: string, bytes: Buffer) => void) => {
    const path = join(replica, victim.key);
    const bytes = readFileSync(path);
    const { atime, mtime } = statSync(path);
    damage(path, Buffer.from(bytes));
    utimesSync(path, atime, mtime);
    const said = await attempt(at);
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    expect(said.code, `${victim.key}: ${said.stdout}${said.stderr}`).toBe(4);
    expect(said.stderr).toContain(victim.key);
  };
  for (const level of [0, 1, 2, 9]) {
    const needed = instants.flatMap((at) => {
      const txid = Math.max(0, ...pruned.filter(({ modified }) => modified <= at).map(({ max }) => max));
      const victim = filesFor(pruned, txid).files.find((file) => file.level === level);
      return victim ? [{ victim, at }] : [];
    });
    const [one] = needed;
    if (!one) throw new Error(`nothing of level ${level} is needed`);
    await flipped(one.victim, one.at, (path, bytes) => {
      const middle = Math.floor(bytes.length / 2);
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    });
  }
  const ends = new Set(onLevel(pruned, 1).map(({ max }) => max));
  const single = onLevel(pruned, 0).findLast(({ max }) => ends.has(max));
  if (!single) throw new Error('nothing merged ends with a single one');
  const before = new Date(single.modified.getTime() - 1);
  await flipped(single, before, (path) => setTaken(path, before.getTime()));

  for (const gone of onLevel(pruned, 2)) {
    const { whole, said } = await without(gone, new Date(gone.modified.getTime() + 1));
    expect(said.artifacts, gone.key).toEqual(whole.artifacts);
    expect(said.artifacts).not.toEqual([]);
  }
});

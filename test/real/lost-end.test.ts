import { existsSync, mkdirSync, chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { litestreamState } from '../../src/config/paths.ts';
import { eventually, startForge } from './forge.ts';
import { hastyLitestream } from './hasty-litestream.ts';
import { instanceOf, startPusher } from './pusher.ts';
import { query } from './support/fossil-lab.ts';

// An idle repository's last transaction lies by itself in one object, and is in merged ones besides. Litestream begins behind the former
// alone: where that is lost it would use its numbers a second time.

test('the object that Litestream goes on behind is put back when it is lost, and the history stays whole', async () => {
  using hasty = hastyLitestream({ merged: 2, again: 6, snapshot: 10, single: 4 });
  await using forge = await startForge({
    config: { programs: { litestream: hasty.program }, replica: { step: '30s' } },
  });
  await using pusher = await startPusher(forge, 'demo', { pushing: false });
  const replica = join(forge.root, 'var/backups/fossilrepo');
  const key = partKey(instanceOf(forge.root), `repos/${pusher.id}`);
  const history = () => listHistory({ store: directoryStore(replica), kind: 'directory', key });
  await pusher.one();
  await sleep(1_500);
  const early = new Date();
  await pusher.one();
  /** The one object, once all of it is merged and the others have aged out. */
  const lonely = async () => {
    let last = '';
    await eventually(
      async () => {
        const all = await history();
        const singles = all.filter(({ level }) => level === 0);
        const merged = newestTxid(all.filter(({ level }) => level > 0));
        last = singles[0]?.key ?? '';
        return singles.length === 1 && merged === newestTxid(all);
      },
      60_000,
      'one single transaction is left, merged as well',
    );
    return join(replica, last);
  };
  const mended = () =>
    query(
      join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
      "SELECT text FROM event WHERE kind = 'mended'",
    )
      .map(({ text }) => String(text))
      .filter((text) => text.includes('demo.fossil'));

  // Seen by whoever lets go of it.
  const first = await lonely();
  rmSync(first);
  await forge.json('repo', 'rename', 'demo', 'other');
  expect(existsSync(first)).toBe(true);
  await forge.json('repo', 'rename', 'other', 'demo');

  // Seen when Litestream starts again, and can't go on.
  const second = await lonely();
  process.kill(forge.pidOf('replication'), 'SIGSTOP');
  rmSync(second);
  process.kill(forge.pidOf('replication'), 'SIGKILL');
  // Litestream goes on at once, and then it ages out.
  await eventually(() => mended().length > 0, 90_000, 'it was put back, and that is said');
  expect(mended()).toEqual([expect.stringContaining('was missing from the replica, and was put back')]);
  await eventually(async () => (await forge.cli('status')).code === 0, 60_000, 'green');
  expect(await pusher.one()).toBe(true);
  expect((await forge.cli('backup', 'now')).code).toBe(0);
  await forge.json('backup', 'verify', 'demo');
  await forge.json('restore', 'demo', '--at', early.toISOString(), '--yes');
  expect(pusher.lostLive()).toHaveLength(2);
  await forge.json('restore', 'demo', '--undo', '--yes');
  expect(pusher.lostLive()).toEqual([]);

  // With nothing beside it, it is named; the state can be had all the same.
  const third = await lonely();
  await forge.json('repo', 'delete', 'demo', '--yes');
  rmSync(third);
  const trashed = query(join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'), 'SELECT file FROM repository');
  for (const { file } of trashed)
    if (String(file).startsWith('work/'))
      rmSync(litestreamState(join(forge.root, 'data', String(file))), { recursive: true, force: true });
  const refused = await forge.cli('restore', pusher.id, '--at', 'now', '--yes');
  expect(refused.code, refused.stdout).toBe(4);
  expect(refused.stderr).toContain(third.slice(replica.length + 1));
  expect(refused.stderr).toContain('--into FOLDER');
  const into = join(forge.root, 'into');
  mkdirSync(into);
  chmodSync(into, 0o777);
  const said = await forge.cli('restore', pusher.id, '--at', 'now', '--into', into);
  expect(said.code, said.stderr).toBe(0);
}, 300_000);

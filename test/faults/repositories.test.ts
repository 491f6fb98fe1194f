import { expect } from 'vitest';
import type { Shown } from '../real/client.ts';
import { eventually } from '../real/forge.ts';
import { succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import { bringBack, keptOrLive } from './kept.ts';
import { tryFaults } from './try-faults.ts';

/** More than Litestream takes without a checkpoint, which needs the tables that `fossil rebuild` drops. */
const beyondCheckpoint =
  'CREATE TABLE IF NOT EXISTS fx_big(x); DELETE FROM fx_big; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) INSERT INTO fx_big SELECT randomblob(1500) FROM n; PRAGMA wal_checkpoint(TRUNCATE);';

const rebuilt: Fault = {
  name: 'a repository rebuilt by hand with `fossil rebuild`',
  once: async (stage, luck) => {
    const pusher = luck.pick(stage.pushers);
    await pusher.byHand('rebuild');
    await pusher.byHand('sql', beyondCheckpoint);
    await eventually(
      async () => (await stage.forge.cli('backup', 'now', pusher.name)).code === 0,
      60_000,
      'replicated after a rebuild',
    );
    return 'replicated beyond the next checkpoint';
  },
};

const renamed: Fault = {
  name: 'a repository renamed, and back',
  once: async (stage, luck) => {
    const { name } = luck.pick(stage.pushers);
    await succeed(stage, 'repo', 'rename', name, `${name}-aside`);
    await succeed(stage, 'repo', 'rename', `${name}-aside`, name);
    return 'closed for a moment each time';
  },
};

const recreated: Fault = {
  name: 'a repository deleted and another made under its name',
  once: async (stage, luck) => {
    const { name, id } = luck.pick(stage.pushers);
    await succeed(stage, 'repo', 'delete', name, '--yes');
    const other = await stage.forge.json<Shown>('repo', 'create', name);
    expect(other.id).not.toBe(id);
    await succeed(stage, 'backup', 'now', name);
    await succeed(stage, 'repo', 'delete', name, '--yes');
    await succeed(stage, 'repo', 'undelete', id);
    return 'two histories that do not mix; the first one brought back';
  },
};

const restored: Fault = {
  name: 'a restore while people push, and its undo',
  once: async (stage, luck) => {
    const pusher = luck.pick(stage.pushers);
    const at = Date.now() - luck.between(0, 3_000);
    await succeed(stage, 'restore', pusher.name, '--at', new Date(at).toISOString(), '--yes');
    keptOrLive(stage, pusher);
    await succeed(stage, 'restore', pusher.name, '--undo', '--yes');
    keptOrLive(stage, pusher);
    await bringBack(pusher, at);
    return 'restored and taken back';
  },
};

const maintained: Fault = {
  name: '`repo maintain` while people push',
  once: async (stage, luck) => {
    await succeed(stage, 'repo', 'maintain', luck.pick(stage.pushers).name);
    return 'closed for a moment';
  },
};

tryFaults('directory', [rebuilt, renamed, recreated, restored, maintained]);

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, startForge } from './forge.ts';
import { measured } from './processes.ts';
import { startPusher } from './pusher.ts';
import { smallDisk } from './small-disk.ts';

test('the disk of the replica is full: red; when there is room again all is sent', async () => {
  using disk = smallDisk();
  await using forge = await startForge({
    config: { replica: { url: `file://${join(disk.folder, 'replica')}`, maxAge: '5s' } },
  });
  await using pusher = await startPusher(forge, 'busy');
  const status = () => forge.cli('status');
  await eventually(async () => (await status()).code === 0, 30_000, 'green before');
  disk.fill();
  const red = await eventually(async () => (await status()).code === 4, 20_000, 'red');
  measured(`replica's disk full: red after ${red.toFixed(0)} ms\n${(await status()).stdout}`);
  expect((await forge.cli('backup', 'now', 'busy')).code).toBe(1);
  await eventually(
    async () => /disk of the replica's folder .* is full/.test((await status()).stdout),
    6_000,
    'says why',
  );
  const pushes = pusher.acknowledged.length;
  await eventually(() => pusher.acknowledged.length > pushes + 3, 10_000, 'pushes go on');
  disk.empty();
  const green = await eventually(async () => (await status()).code === 0, 60_000, 'green again');
  measured(`room again: green after ${green.toFixed(0)} ms`);
  await pusher.stop();
  expect((await forge.cli('backup', 'now')).code).toBe(0);
  expect(pusher.lostLive()).toEqual([]);
  expect(await pusher.lostInReplica()).toEqual([]);
});

test('a server whose disk is nearly full starts again, and says so', async () => {
  await using forge = await startForge();
  await forge.json('repo', 'create', 'demo');
  await forge.stop();
  const data = join(forge.root, 'data');
  const kept = `${data}.kept`;
  execFileSync('cp', ['-a', data, kept]);
  {
    using disk = smallDisk({ at: data, megabytes: 64 });
    execFileSync('cp', ['-a', `${kept}/.`, disk.folder]);
    await forge.start();
    expect(forge.log()).toMatch(/There is only [\d.]+ MB free for .*data/);
    expect((await forge.cli('repo', 'verify', 'demo')).code).toBe(0);
    const applied = await forge.cli('apply');
    expect(applied.code, applied.stderr).toBe(0);
    await forge.stop();
  }
});

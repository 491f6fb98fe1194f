import { execFileSync } from 'node:child_process';
import { chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { startForge, type TestForge } from '../real/forge.ts';
import { has } from '../real/pusher.ts';
import { query } from '../real/support/fossil-lab.ts';
import type { Fault } from './fault.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

// The whole server on another machine, from a copy of what its replica was when it burnt. Both have the same ports: one runs at a time.

/** The recovery key that the first start showed, in a file of the other server's user. */
function recoveryKey({ forge }: Stage, other: TestForge): string {
  const [, key = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(forge.log()) ?? [];
  const file = join(other.root, 'recovery-key');
  writeFileSync(file, key, { mode: 0o600 });
  const { uid, gid } = statSync(other.root);
  chownSync(file, uid, gid);
  return file;
}

/** What the second run says of what the first had done. */
const wentOn = (log: string): string =>
  /was there already/.test(log) ? 'run again it went on from there' : 'run again it began anew';

const broughtKilled: Fault = {
  name: 'the server burnt, and `install --from` killed',
  once: async (stage, luck) => {
    const { forge, pushers } = stage;
    const promised = pushers.map(({ acknowledged }) => [...acknowledged]);
    expect((await forge.cli('backup', 'now')).code).toBe(0);
    await sleep(luck.between(0, 2_000));
    await forge.stop('SIGKILL');
    try {
      return await bringElsewhere(stage, luck, promised);
    } finally {
      await forge.start();
    }
  },
};

async function bringElsewhere(
  stage: Stage,
  luck: Luck,
  promised: readonly (readonly string[])[],
): Promise<string> {
  await using other = await startForge({ bare: true });
  const replica = join(other.root, 'replica');
  execFileSync('cp', ['-a', '--', join(stage.forge.root, 'var/backups/fossilrepo'), replica]);
  const argv = [
    ...['install', '--from', `file://${replica}`, '--recovery-key', recoveryKey(stage, other)],
    ...['--takeover', '--yes'],
  ];
  await other.killed(luck.between(300, 12_000), ...argv);
  await other.start(...argv);
  const status = await other.cli('status');
  expect(status.code, status.stdout).toBe(0);
  for (const [index, { name }] of stage.pushers.entries()) {
    const file = join(other.root, `data/repos/${name}.fossil`);
    expect(has(file, promised[index] ?? []), `${name} on the other server`).toEqual([]);
    expect(query(file, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  }
  expect((await other.cli('repo', 'verify')).code).toBe(0);
  expect((await other.cli('backup', 'now')).code).toBe(0);
  return `${wentOn(other.log())}; everything promised was on the other server`;
}

tryFaults('directory', [broughtKilled]);

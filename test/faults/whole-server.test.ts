import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { readBringing } from '../../src/apply/bringing.ts';
import { ownerKey } from '../../src/backup/owner.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { canaryName } from '../../src/repos/names.ts';
import { startForge, type TestForge } from '../real/forge.ts';
import { has } from '../real/pusher.ts';
import { query } from '../real/support/fossil-lab.ts';
import { succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

// The whole server on another machine, from a copy of what its replica was when it burnt. Both have the same ports: one runs at a time.

/** With these, bringing repositories back takes long enough to be killed in. */
const besides = Array.from({ length: 12 }, (_, number) => `besides-${number}`);
const prepared = new WeakSet<Stage>();

async function prepare(stage: Stage): Promise<void> {
  if (prepared.has(stage)) return;
  for (const name of besides) await succeed(stage, 'repo', 'create', name);
  prepared.add(stage);
}

/** How long a server may take to be back, on a machine that others use. Milliseconds. */
const patience = 240_000;

/** A bare machine with a copy of the replica. @param argv brings the server back on it */
type Bare = { other: TestForge; replica: string; argv: readonly string[] };

function furnish(stage: Stage, other: TestForge): Bare {
  const replica = join(other.root, 'replica');
  execFileSync('cp', ['-a', '--', join(stage.forge.root, 'var/backups/fossilrepo'), replica]);
  age(replica);
  const argv = [
    'install',
    '--from',
    `file://${replica}`,
    '--recovery-key',
    recoveryKey(stage, other),
    '--yes',
  ];
  return { other, replica, argv };
}

/** The server burnt a while ago: nobody is waited for, so that a run takes as long as its work. */
function age(replica: string): void {
  const file = join(replica, ownerKey);
  const owner = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...owner, heartbeat: new Date(Date.now() - 600_000).toISOString() }));
}

/** The recovery key that the first start showed, in a file of the other server's user. */
function recoveryKey({ forge }: Stage, other: TestForge): string {
  const [, key = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(forge.log()) ?? [];
  const file = join(other.root, 'recovery-key');
  writeFileSync(file, key, { mode: 0o600 });
  const { uid, gid } = statSync(other.root);
  chownSync(file, uid, gid);
  return file;
}

let measured: number | undefined;

/** How long a whole run takes that nobody kills. Milliseconds. */
async function lengthOfRun(stage: Stage): Promise<number> {
  if (measured !== undefined) return measured;
  await using other = await startForge({ bare: true, patience });
  const { argv } = furnish(stage, other);
  const began = performance.now();
  await other.start(...argv);
  measured = performance.now() - began;
  return measured;
}

/** How far a killed run had come. */
function phase({ other, replica }: Bare): string {
  const paths = pathsUnder(other.root);
  const { generation } = JSON.parse(readFileSync(join(replica, ownerKey), 'utf8')) as { generation: number };
  if (generation === 0) return 'before anything was touched';
  const begun = readBringing(paths) !== undefined;
  if (!existsSync(paths.database)) return begun ? 'when it was noted' : 'when the replica was taken over';
  if (existsSync(paths.up)) return 'when its parts ran';
  if (!begun) return 'while it was starting';
  const there = existsSync(paths.repos) ? readdirSync(paths.repos, { recursive: true }).map(String) : [];
  const count = there.filter((name) => name.endsWith('.fossil') && !name.includes(canaryName)).length;
  if (count === 0) return 'when the management database was there';
  return `with ${count < besides.length + 3 ? 'some of ' : ''}the repositories in their places`;
}

const broughtKilled: Fault = {
  name: 'the server burnt, and `install --from` killed',
  once: async (stage, luck) => {
    const { forge, pushers } = stage;
    await prepare(stage);
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
  const longest = await lengthOfRun(stage);
  await using other = await startForge({ bare: true, patience });
  const bare = furnish(stage, other);
  await other.killed((longest * luck.between(5, 100)) / 100, ...bare.argv);
  const reached = phase(bare);
  await other.start(...bare.argv);
  const status = await other.cli('status');
  expect(status.code, status.stdout).toBe(0);
  for (const [index, { name }] of stage.pushers.entries()) {
    const file = join(other.root, `data/repos/${name}.fossil`);
    expect(has(file, promised[index] ?? []), `${name} on the other server`).toEqual([]);
    expect(query(file, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  }
  expect((await other.cli('repo', 'verify')).code).toBe(0);
  expect((await other.cli('backup', 'now')).code).toBe(0);
  return `killed ${reached}; run again, everything promised was on the other server`;
}

tryFaults('directory', [broughtKilled]);

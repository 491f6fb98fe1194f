import { chownSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { instanceOf } from '../real/pusher.ts';
import { readUp } from '../../src/stack/foreground.ts';
import { eventually, startForge, type TestForge } from '../real/forge.ts';
import type { Fault } from './fault.ts';
import { maxAge, type Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

const replicaOf = ({ forge }: Stage): string => join(forge.root, 'var/backups/fossilrepo');
const config = (stage: Stage) => ({
  replica: { url: `file://${replicaOf(stage)}`, maxAge: `${maxAge / 1000}s` },
});

/** Starts a second server, and kills it once its `status` says what is expected. */
async function expectSays(other: TestForge, words: RegExp): Promise<void> {
  const ended = other.killed(90_000, 'up');
  let said = '';
  try {
    await eventually(
      async () => words.test((said = (await other.cli('status')).stdout)),
      60_000,
      `status of the other server says ${String(words)}`,
    );
    // Time enough to write something, if it would.
    await sleep(3_000);
  } catch (error) {
    throw new Error(`It says:\n${said}`, { cause: error });
  } finally {
    const up = readUp({ up: join(other.root, 'run/fossilrepo/up.json') });
    if (up !== undefined) process.kill(up.pid, 'SIGKILL');
    await ended;
  }
}

/** Whose histories are in the replica. */
const instancesIn = (stage: Stage): string[] =>
  readdirSync(replicaOf(stage), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

const second: Fault = {
  name: 'a second server set up on the same place',
  once: async (stage) => {
    const before = instancesIn(stage);
    await using other = await startForge({ config: config(stage), up: false });
    await expectSays(other, /belongs to the server on/);
    expect(instancesIn(stage)).toEqual(before);
    return 'refused; it wrote nothing';
  },
};

const copied: Fault = {
  name: 'a running server copied and the copy started',
  once: async (stage) => {
    const { forge } = stage;
    await using other = await startForge({ config: config(stage), up: false });
    mkdirSync(join(other.root, 'var'), { recursive: true });
    chownSync(join(other.root, 'var'), statSync(other.root).uid, statSync(other.root).gid);
    for (const folder of ['data', 'etc/fossilrepo/secrets', 'var/lib'])
      execFileSync('cp', ['-a', '--', join(forge.root, folder), join(other.root, folder, '..')]);
    expect(instanceOf(other.root)).toBe(instanceOf(forge.root));
    await expectSays(other, /a copy of this one/);
    expect(instancesIn(stage)).toEqual([instanceOf(forge.root)]);
    return 'the copy wrote nothing and said why; the first went on';
  },
};

tryFaults('directory', [second, copied]);

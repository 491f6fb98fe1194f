import { globSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { litestreamIntervals } from '../../src/plan/litestream.ts';
import type { TestForge } from '../real/forge.ts';
import { cloneOf } from './clone.ts';
import { type Bench, percentile, type Row, series } from './row.ts';

/** Nothing more came for this long: all of the push is there. Longer than Litestream's own intervals. Milliseconds. */
const quiet = litestreamIntervals.monitor + litestreamIntervals.sync + 450;

/**
 * From a push's last commit in the server's file until all of it is in the replica's storage, seen there as a file. Beside it Litestream
 * as it is configured, without the management part that tells it of each commit: that one is suspended meanwhile.
 * @param stored the folder in which the storage keeps its objects
 * @param repositories how many there are on the server, for the row's name
 */
export async function push(
  { quick }: Bench,
  forge: TestForge,
  name: string,
  where: { kind: 'directory' | 'S3'; stored: string },
  repositories: number,
): Promise<Row[]> {
  using clone = await cloneOf(forge, name);
  const { id } = await forge.json<{ id: string }>('repo', 'show', name);
  const log = join(forge.root, 'data/repos', `${name}.fossil-wal`);
  const [found] = globSync(`**/repos/${id}`, { cwd: where.stored });
  if (found === undefined) throw new Error(`${name} is not in the replica`);
  const objects = join(where.stored, found);
  const measure = async (count: number) => {
    const times: number[] = [];
    for (let n = 0; n < count; n++) {
      await clone.commit();
      const before = newest(objects);
      await clone.push();
      const committed = statSync(log).mtimeMs;
      times.push(Math.max(0, (await settled(objects, before)) - committed));
      // Not in step with Litestream's intervals.
      await sleep(Math.random() * litestreamIntervals.monitor);
    }
    return times;
  };
  const ours = await measure(quick ? 4 : 40);
  const management = forge.pidOf('management');
  process.kill(management, 'SIGSTOP');
  try {
    const alone = await measure(quick ? 2 : 15);
    return [
      {
        name: `push committed to all of it in the replica (${where.kind}, ${count(repositories)}), p50 / p99`,
        ours: series(ours),
        instead: `Litestream alone, same intervals: ${series(alone)}`,
        goal: '1 s',
        met: percentile(ours, 99) <= 1_000,
      },
    ];
  } finally {
    process.kill(management, 'SIGCONT');
  }
}

const count = (repositories: number) =>
  repositories === 1 ? '1 repository' : `${repositories} repositories`;

/** When the storage took the last single transaction of a repository, in milliseconds since 1970; 0 when there is none. */
function newest(objects: string): number {
  const times = readdirSync(objects, { recursive: true, encoding: 'utf8' })
    .filter((path) => /^(ltx\/0|0000)\/[0-9a-f-]+\.ltx$/.test(path))
    .map((path) => statSync(join(objects, path), { throwIfNoEntry: false })?.ctimeMs ?? 0);
  return Math.max(0, ...times);
}

async function settled(objects: string, before: number): Promise<number> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const last = newest(objects);
    if (last > before && Date.now() - last > quiet) return last;
    if (Date.now() > deadline) throw new Error('a push did not get into the replica within 30 s');
    await sleep(50);
  }
}

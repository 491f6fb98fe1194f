import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/system/run.ts';
import type { TestForge } from '../real/forge.ts';
import { type Bench, percentile, type Row, series } from './row.ts';
import { interleaved } from './timing.ts';

const query = `SELECT (SELECT count(*) FROM event WHERE type = 'ci'), (SELECT max(mtime) FROM event)`;

/** `repo list`; beside it a shell's loop, `sqlite3` once for each file, which knows nothing of the replica. */
export async function list({ quick }: Bench, forge: TestForge): Promise<Row[]> {
  const folder = join(forge.root, 'data/repos');
  const files = readdirSync(folder).filter((name) => name.endsWith('.fossil'));
  const { ours, shell } = await interleaved(quick ? 2 : 10, {
    ours: () => forge.cli('repo', 'list'),
    shell: async () => {
      for (const file of files) await run({ argv: ['sqlite3', '-readonly', join(folder, file), query] });
    },
  });
  return [
    {
      name: `repo list, ${files.length} repositories, p50 / p99`,
      ours: series(ours),
      instead: `ls, and sqlite3 for each file: ${series(shell)}`,
      goal: '1 s',
      met: percentile(ours, 50) <= 1_000,
    },
  ];
}

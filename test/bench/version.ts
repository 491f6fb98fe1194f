import { join } from 'node:path';
import { programHome } from '../../src/config/paths.ts';
import { run } from '../../src/system/run.ts';
import { type Bench, percentile, type Row, series } from './row.ts';
import { interleaved } from './timing.ts';

/** `--version`: what every command pays before it does anything; beside it Node doing nothing. */
export async function version({ quick }: Bench): Promise<Row[]> {
  const launcher = join(programHome, 'bin/fossilrepo');
  // The first run fills the compile cache.
  await run({ argv: [launcher, '--version'] });
  const { ours, node } = await interleaved(quick ? 5 : 50, {
    ours: () => run({ argv: [launcher, '--version'] }),
    node: () => run({ argv: [process.execPath, '-e', '0'] }),
  });
  return [
    {
      name: 'fossilrepo --version, p50 / p99',
      ours: series(ours),
      instead: `node -e 0: ${series(node)}`,
      goal: '100 ms',
      met: percentile(ours, 50) <= 100,
    },
  ];
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fossilInit } from '../../src/programs/fossil.ts';
import { run } from '../../src/system/run.ts';
import type { TestForge } from '../real/forge.ts';
import { type Bench, percentile, type Row, series } from './row.ts';
import { interleaved } from './timing.ts';

/** The names of the repositories that the first item leaves for those after it. */
export const created = (quick: boolean): string[] =>
  Array.from({ length: quick ? 3 : 9 }, (_, index) => `bench-${index}`);

/** `repo create`: replicated, and looked at from outside; beside it a bare `fossil init`, which does neither. */
export async function create({ quick }: Bench, forge: TestForge): Promise<Row[]> {
  const names = created(quick).values();
  const file = join(forge.root, 'bare.fossil');
  const { ours, bare } = await interleaved(created(quick).length, {
    ours: () => forge.json('repo', 'create', names.next().value ?? '', '--visibility', 'public'),
    bare: () =>
      run(fossilInit('fossil', { file: fresh(file), home: forge.root, adminUser: 'a', name: 'bare' })),
  });
  return [
    {
      name: 'repo create, p50 / p99',
      ours: series(ours),
      instead: `fossil init, not replicated, not checked: ${series(bare)}`,
      goal: '1 s',
      met: percentile(ours, 50) <= 1_000,
    },
  ];
}

function fresh(file: string): string {
  rmSync(file, { force: true });
  return file;
}

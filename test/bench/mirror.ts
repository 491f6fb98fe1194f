import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import prettyBytes from 'pretty-bytes';
import { refreshCache } from '../../src/mirror/export/cache.ts';
import { cacheFolder } from '../../src/mirror/export/place.ts';
import { stampOf } from '../../src/mirror/export/seen.ts';
import { cleanEnvironment } from '../../src/system/run.ts';
import { gitHistory } from '../real/support/git-history.ts';
import { mirrorLab } from '../real/support/mirror-lab.ts';
import { type Bench, percentile, type Row, series, time } from './row.ts';
import { interleaved, timed } from './timing.ts';

/** A repository's Git side; beside it `fossil git export` of the same repository in the same run. */
export async function mirror({ quick, say }: Bench): Promise<Row[]> {
  using lab = mirrorLab();
  const count = quick ? 400 : 5_000;
  say(`importing ${count} check-ins`);
  const { file, row } = await lab.imported(gitHistory(count));
  const folder = cacheFolder(lab.forge.paths, row.id);
  const plain = join(lab.root, 'plain');
  const script = join(import.meta.dirname, '../real/support/mirror-refresh.ts');
  const memory = { ours: 0, plain: 0 };
  const ours = async () => {
    memory.ours = await peak(spawn(process.execPath, [script, lab.root, row.id], options(lab.root)));
  };
  const fossil = async () => {
    const argv = ['git', 'export', plain, '-R', file, '--mainbranch', 'main', '-q'];
    memory.plain = await peak(spawn('fossil', argv, options(lab.root)));
  };
  const rounds = quick ? 2 : 5;
  const first = await interleaved(rounds, {
    ours: async () => {
      rmSync(folder, { recursive: true, force: true });
      await ours();
    },
    fossil: async () => {
      rmSync(plain, { recursive: true, force: true });
      await fossil();
    },
  });
  const refresh = () => refreshCache(lab.forge, row);
  const nothing = await interleaved(3 * rounds, { ours: refresh, fossil });
  const checkout = join(lab.root, 'checkout');
  mkdirSync(checkout);
  await lab.must(['fossil', 'open', file, '--nosync'], checkout);
  const one: Record<'ours' | 'fossil', number[]> = { ours: [], fossil: [] };
  for (let round = 0; round < 3 * rounds; round++) {
    await lab.must(['fossil', 'commit', '--allow-empty', '-m', `new ${round}`], checkout);
    one.ours.push(await timed(refresh));
    one.fossil.push(await timed(fossil));
  }
  const files = Array.from({ length: 500 }, () => file);
  const stamps = await interleaved(3 * rounds, { ours: () => Promise.resolve(files.map(stampOf)) });
  const [best, plainBest] = [Math.min(...first.ours), Math.min(...first.fossil)];
  const beside = (values: readonly number[]) => `fossil git export: ${series(values)}`;
  return [
    {
      name: `first export of ${count} check-ins, with Node's start`,
      ours: `${time(best)}, ${(plainBest / best).toFixed(1)} times as fast`,
      instead: `fossil git export: ${time(plainBest)}`,
      goal: '3 times as fast',
      met: plainBest >= 3 * best,
    },
    {
      name: 'its peak memory, all processes',
      ours: prettyBytes(memory.ours),
      instead: `fossil git export: ${prettyBytes(memory.plain)}`,
      goal: '',
      met: null,
    },
    {
      name: 'export of a changed file with no new check-in, p50 / p99',
      ours: series(nothing.ours),
      instead: beside(nothing.fossil),
      goal: '50 ms',
      met: percentile(nothing.ours, 50) <= 50,
    },
    {
      name: 'export of one new check-in, p50 / p99',
      ours: series(one.ours),
      instead: beside(one.fossil),
      goal: '1 s',
      met: percentile(one.ours, 50) <= 1_000,
    },
    {
      name: 'whether 500 repositories have changed, p50 / p99',
      ours: series(stamps.ours),
      instead: '',
      goal: '1 s',
      met: percentile(stamps.ours, 99) <= 1_000,
    },
  ];
}

const options = (home: string) => ({
  env: cleanEnvironment({ HOME: home, USER: 'admin' }),
  stdio: 'ignore' as const,
});

/** The most memory that a program and all that it started had at one time. Bytes. @throws Error when it fails */
async function peak(child: ChildProcess): Promise<number> {
  const ended = once(child, 'exit');
  let most = 0;
  while (child.exitCode === null && child.signalCode === null) {
    most = Math.max(most, familyMemory(child.pid ?? 0));
    await Promise.race([ended, sleep(50)]);
  }
  if (child.exitCode !== 0) throw new Error(`${child.spawnargs.join(' ')} answered ${child.exitCode}`);
  return most;
}

function familyMemory(pid: number): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, 'utf8');
        const value = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
        return [{ pid: Number(name), parent: value('PPid'), bytes: value('VmRSS') * 1024 }];
      } catch {
        return [];
      }
    });
  const family = new Set([pid]);
  for (let before = 0; before !== family.size;) {
    before = family.size;
    for (const one of all) if (family.has(one.parent)) family.add(one.pid);
  }
  return all.filter((one) => family.has(one.pid)).reduce((sum, { bytes }) => sum + bytes, 0);
}

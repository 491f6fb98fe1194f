import { randomBytes } from 'node:crypto';
import { closeSync, copyFileSync, fsyncSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { filesFor, listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { fossilEnvironment, fossilTestIntegrity } from '../../src/programs/fossil.ts';
import { readTestIntegrity } from '../../src/programs/fossil-integrity.ts';
import { run } from '../../src/system/run.ts';
import { eventually, type TestForge } from '../real/forge.ts';
import { instanceOf } from '../real/pusher.ts';
import { initRepository } from '../real/support/fossil-lab.ts';
import { bareRestore, emptied } from './bare-restore.ts';
import { putBeside } from './many.ts';
import { type Bench, type Row, time } from './row.ts';
import { interleaved } from './timing.ts';

type Shown = { id: string; path: string };

/** A repository's name by its size. */
export const ofSize = (megabytes: number): string => `of-${megabytes}-mb`;

/**
 * One repository into a file, and in its place; beside it what has to be done at least: copying what the replica has of it, and reading
 * it to the end. Litestream alone, which checks no artifact, shows where the time goes. The least of some rounds counts.
 * @param stored the replica's folder
 */
export async function restoreOne(
  { quick, say }: Bench,
  forge: TestForge,
  stored: string,
  megabytes: number,
): Promise<Row[]> {
  const name = ofSize(megabytes);
  await makeLarge(forge, name, megabytes);
  const { id, path } = await forge.json<Shown>('repo', 'show', name);
  const home = join(forge.root, 'model-home');
  const took = await interleaved(quick ? 1 : megabytes > 100 ? 2 : 4, {
    into: () => forge.json('restore', name, '--at', 'now', '--into', emptied(forge, 'into')),
    least: async () => {
      await copyHistory(forge, stored, id, emptied(forge, 'copied'));
      const { stdout } = await run(fossilTestIntegrity('fossil', { file: path, home }));
      if (readTestIntegrity(stdout).errors.length > 0) throw new Error(`${name} is damaged`);
    },
    bare: () => bareRestore(forge, [id], emptied(forge, 'bare')),
    inPlace: () => forge.json('restore', name, '--at', 'now', '--yes'),
  });
  for (const folder of ['into', 'copied', 'bare']) rmSync(join(forge.root, folder), { recursive: true });
  say(
    JSON.stringify(took, (_key, value: unknown) => (typeof value === 'number' ? Math.round(value) : value)),
  );
  const of = (what: keyof typeof took) => Math.min(...took[what]);
  const row = (how: string, ours: number): Row => ({
    name: `restore ${how}, ${megabytes} MB`,
    ours: `${time(ours)}, ${(ours / of('least')).toFixed(2)} times`,
    instead: `copying the replica's files with fsync, fossil test-integrity: ${time(of('least'))}; litestream restore alone: ${time(of('bare'))}`,
    goal: '1.3 times',
    met: ours <= 1.3 * of('least'),
  });
  return [row('--into a folder', of('into')), row('in its place', of('inPlace'))];
}

/** Copies the files that a restore to the newest state reads. */
async function copyHistory(forge: TestForge, stored: string, id: string, to: string): Promise<void> {
  const key = partKey(instanceOf(forge.root), `repos/${id}`);
  const history = await listHistory({ store: directoryStore(stored), kind: 'directory', key });
  for (const file of filesFor(history, newestTxid(history)).files) {
    const copy = join(to, `${file.level}-${basename(file.key)}`);
    copyFileSync(join(stored, file.key), copy);
    const handle = openSync(copy, 'r+');
    fsyncSync(handle);
    closeSync(handle);
  }
}

/** One check-in of files of a megabyte that can't be compressed, adopted and in the replica. */
export async function makeLarge(forge: TestForge, name: string, megabytes: number): Promise<void> {
  const file = join(forge.root, `${name}.fossil`);
  const home = join(forge.root, 'model-home');
  const checkout = mkdtempSync(join(tmpdir(), 'fossilrepo-bench-'));
  const env = { ...fossilEnvironment(home), USER: 'admin' };
  const fossil = (...args: string[]) =>
    run({ argv: ['fossil', ...args], cwd: checkout, env, timeout: 1_800_000 });
  await initRepository(file, home);
  await fossil('open', file, '--nosync');
  await fossil('settings', 'autosync', 'off');
  for (let n = 0; n < megabytes; n++) writeFileSync(join(checkout, `${n}.bin`), randomBytes(1_000_000));
  await fossil('add', '.');
  await fossil('commit', '-m', 'large', '--no-warnings', '--allow-fork', '--user-override', 'admin');
  await fossil('close', '--force');
  rmSync(checkout, { recursive: true });
  putBeside(forge, file, name);
  rmSync(file);
  await eventually(
    async () => (await forge.cli('backup', 'now', name)).code === 0,
    600_000,
    `${name} in the replica`,
  );
}

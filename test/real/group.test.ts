import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { CommandError, run } from '../../src/system/run.ts';
import { eventually } from './forge.ts';
import { processesOf } from './processes.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'group-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a program that starts another; both name the folder in their environment. */
const shell = (script: string) => ({
  argv: ['sh', '-c', script] as const,
  env: { MARK: folder },
  group: true,
});

async function ended(work: Promise<unknown>): Promise<CommandError> {
  const error = await work.catch((thrown: unknown) => thrown);
  if (!(error instanceof CommandError)) throw new Error(`no CommandError but ${String(error)}`);
  // A killed one is there until the kernel has taken it away.
  await eventually(() => processesOf(folder).length === 0, 1_000, 'nothing left');
  return error;
}

test('a deadline ends what a program started, too, and what does not listen to SIGTERM', async () => {
  const begun = performance.now();
  const deaf =
    "trap '' TERM; sh -c \"trap '' TERM; while :; do sleep 1; done\" & echo begun >&2; wait; sleep 60";
  const error = await ended(run({ ...shell(deaf), timeout: 500 }));
  expect(error).toMatchObject({ ended: 'took too long', stderr: 'begun' });
  expect(performance.now() - begun).toBeLessThan(5_000);
  // Its leader goes, and what it started would stay.
  await ended(
    run({ ...shell('sh -c "trap \'\' TERM; sleep 60" >/dev/null 2>&1 </dev/null & wait'), timeout: 500 }),
  );
});

test('a silence ends it, output does not', async () => {
  const talks = shell('for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done');
  expect(await run({ ...talks, quiet: 1_000, timeout: 20_000 })).toMatchObject({ code: 0 });
  expect(await ended(run({ ...shell('echo 1; sleep 60'), quiet: 500, timeout: 20_000 }))).toMatchObject({
    ended: 'took too long',
  });
  const alone = shell('echo 1; sleep 0.3; echo "50% done"; sleep 5; echo 2');
  const limits = { quiet: 3_000, quietUntil: '% done', timeout: 20_000 };
  expect(await run({ ...alone, ...limits })).toMatchObject({ code: 0, stdout: '1\n50% done\n2' });
  const unheard = { ...limits, quietUntil: '% more' };
  expect(await ended(run({ ...alone, ...unheard }))).toMatchObject({ ended: 'took too long' });
});

test('a signal ends it, also one that was there before', async () => {
  expect(await ended(run({ ...shell('sleep 60'), signal: AbortSignal.timeout(200) }))).toMatchObject({
    ended: 'stopped',
  });
  expect(await ended(run({ ...shell('sleep 60'), signal: AbortSignal.abort() }))).toMatchObject({
    ended: 'stopped',
  });
});

test('it ends with its parent', async () => {
  const script = `
    import { run } from '${join(programHome, 'src/system/run.ts')}';
    await run({ argv: ['sh', '-c', 'sleep 61 & wait'], env: { MARK: '${folder}' }, group: true });`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: 'ignore',
  });
  await eventually(
    () => processesOf(folder).filter(({ argv }) => argv === 'sleep 61').length === 1,
    10_000,
    'sleep',
  );
  const exit = once(parent, 'exit');
  parent.kill('SIGTERM');
  expect(await exit).toEqual([null, 'SIGTERM']);
  await eventually(() => processesOf(folder).length === 0, 2_000, 'nothing left');
});

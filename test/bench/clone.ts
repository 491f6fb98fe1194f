import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fossilClone, fossilEnvironment } from '../../src/programs/fossil.ts';
import { secret } from '../../src/secrets/secret.ts';
import { run } from '../../src/system/run.ts';
import type { TestForge } from '../real/forge.ts';

/** A clone that checks in and pushes apart, so that a push can be timed alone. */
export type Clone = Disposable & {
  /** Checks one more file in, here only. */
  commit: () => Promise<void>;
  push: () => Promise<void>;
};

export async function cloneOf(forge: TestForge, name: string): Promise<Clone> {
  const folder = mkdtempSync(join(tmpdir(), 'fossilrepo-bench-'));
  const [file, checkout, home] = ['clone.fossil', 'checkout', 'home'].map((part) => join(folder, part));
  if (file === undefined || checkout === undefined || home === undefined) throw new Error('no folder');
  for (const made of [checkout, home]) mkdirSync(made);
  const { token } = await forge.json<{ token: string }>('user', 'token', 'admin');
  const { cloneUrl } = await forge.json<{ cloneUrl: string }>('repo', 'show', name);
  const url = cloneUrl.replace('://', `://admin:${token}@`);
  const env = { ...fossilEnvironment(home), USER: 'admin' };
  const fossil = (...args: string[]) => run({ argv: ['fossil', ...args], cwd: checkout, env });
  await run(fossilClone('fossil', { url: secret(url), file, adminUser: 'admin', home }));
  await fossil('open', file, '--nosync');
  await fossil('settings', 'autosync', 'off');
  let count = 0;
  return {
    commit: async () => {
      // Another clone of the same repository may have been here.
      const added = `${basename(folder)}-${count++}.txt`;
      writeFileSync(join(checkout, added), `${added}\n`);
      await fossil('add', added);
      await fossil('commit', '-m', `add ${added}`, '--no-warnings', '--user-override', 'admin');
    },
    push: async () => {
      const input = [url, '--once', '--repository', file].join('\n');
      const { stdout, stderr } = await run({ argv: ['fossil', 'push', '--args', '-'], input, env });
      // It answers 0 when it was refused, too.
      if (!/done/i.test(stdout) || /Error|not authorized/i.test(stdout + stderr))
        throw new Error(`the push was refused:\n${stdout}${stderr}`);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

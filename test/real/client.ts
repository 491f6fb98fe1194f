import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment } from '../../src/system/run.ts';
import type { Said } from './forge.ts';

/** Somebody with Fossil on a machine of their own. */
export type Person = ReturnType<typeof newPerson>;

/** What `repo create`, `show` and `configure` print; see `--json`. */
export type Shown = {
  name: string;
  id: string;
  url: string;
  cloneUrl: string;
  cloneCommand: string;
  visibility: string;
  path: string;
  checkins: number;
  bytes: number;
  archived: boolean;
  sanitised: string[];
};

export function newPerson() {
  const home = mkdtempSync(join(tmpdir(), 'person-'));
  const env = cleanEnvironment({ HOME: home, FOSSIL_HOME: home, USER: 'someone' });
  let counter = 0;

  /** Runs a program in the person's home, or in a folder of it. */
  const run = async (
    argv: readonly string[],
    options: { cwd?: string; input?: string } = {},
  ): Promise<Said> => {
    const [file = '', ...args] = argv;
    // A session of its own: without a terminal Fossil reads a password from standard input.
    const child = spawn(file, args, { env, cwd: join(home, options.cwd ?? ''), detached: true });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    await once(child, 'close');
    return { stdout, stderr, code: child.exitCode };
  };
  const fossil = (folder: string, ...args: string[]) => run(['fossil', ...args], { cwd: folder });
  /** What has to work. */
  const must = async (said: Promise<Said>): Promise<string> => {
    const { stdout, stderr, code } = await said;
    if (code !== 0) throw new Error(`answered ${code}: ${stdout}${stderr}`);
    return stdout + stderr;
  };

  /** Pushes. Fossil answers 0 for a refused push, too: it says so in words. @returns these; undefined when the server took it */
  const refusal = async (folder: string, ...args: string[]): Promise<string | undefined> => {
    const { stdout, stderr, code } = await fossil(folder, 'push', ...args);
    const said = stdout + stderr;
    return code === 0 && !/error|server says|not authorized|failed/i.test(said) ? undefined : said;
  };

  return {
    home,
    run,
    fossil,
    /** Whether a clone succeeds. */
    canClone: async (url: string): Promise<boolean> => {
      const { code } = await run(['fossil', 'clone', '--no-open', url, `try-${++counter}.fossil`]);
      return code === 0;
    },
    /** A clone that is opened in a folder. @param login `LOGIN:PASSWORD` @returns the folder */
    checkout: async (url: string, login: string): Promise<string> => {
      const folder = `checkout-${++counter}`;
      mkdirSync(join(home, folder));
      const address = url.replace('://', `://${login}@`);
      await must(fossil('', 'clone', '--no-open', '--save-http-password', address, `${folder}.fossil`));
      await must(fossil(folder, 'open', `../${folder}.fossil`));
      await must(fossil(folder, 'settings', 'autosync', 'off'));
      return folder;
    },
    /** A check-in that stays on the person's machine. @returns its hash */
    commit: async (folder: string, file: string, content: string | Buffer): Promise<string> => {
      writeFileSync(join(home, folder, file), content);
      await must(fossil(folder, 'add', file));
      const said = await must(
        fossil(
          folder,
          'commit',
          // Fossil 2.21 now and then takes a file that was added a moment ago for unchanged; a check-in is what is wanted.
          '--allow-empty',
          '--no-warnings',
          '--allow-fork',
          '--user-override',
          'admin',
          '-m',
          `say ${file}`,
        ),
      );
      const [, hash] = /New_Version: ([0-9a-f]+)/.exec(said) ?? [];
      if (hash === undefined) throw new Error(said);
      return hash;
    },
    refusal,
    /** @returns whether the server took it */
    push: async (folder: string, ...args: string[]): Promise<boolean> =>
      (await refusal(folder, ...args)) === undefined,
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}

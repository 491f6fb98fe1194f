import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseConfig } from '../../../src/config/config.ts';
import { pathsUnder } from '../../../src/config/paths.ts';
import { fossilEnvironment } from '../../../src/programs/fossil.ts';
import { insertRepository, type Repository } from '../../../src/store/repositories.ts';
import { openStore } from '../../../src/store/store.ts';
import { cleanEnvironment, run } from '../../../src/system/run.ts';
import { initRepository } from './fossil-lab.ts';

/** Names of files that Fossil takes and that somebody on the way to Git could take for something else. */
export const oddNames = [
  'plain',
  'with space',
  'a "quote"',
  '"leading',
  "it's",
  'ünï/cödé',
  'trailing ',
  'CASE',
  'case',
  '-dash',
  'back\\slash',
] as const;

/** What mirroring needs of a server, below a folder, and real repositories in it. */
export type MirrorLab = ReturnType<typeof mirrorLab>;

export function mirrorLab() {
  const root = mkdtempSync(join(tmpdir(), 'mirror-'));
  const paths = pathsUnder(root);
  for (const folder of [paths.repos, paths.tmp, paths.state, join(root, 'home')])
    mkdirSync(folder, { recursive: true });
  const store = openStore(paths);
  const config = parseConfig('', paths);
  const forge = { run, config, paths, store };
  let count = 0;
  let clock = 1_700_000_000;
  const env = { ...fossilEnvironment(join(root, 'home')), USER: 'admin' };
  const must = async (argv: [string, ...string[]], cwd?: string) =>
    (await run({ argv, env, ...(cwd !== undefined && { cwd }) })).stdout;
  const enter = (file: string): Repository =>
    insertRepository(store, {
      id: `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`,
      name: `repo-${count}`,
      visibility: 'public',
      state: 'active',
      file: file.slice(paths.data.length + 1),
    });
  /** A checkout of a repository. */
  const open = async (file: string, row: Repository) => {
    const checkout = join(root, `checkout-${count}`);
    mkdirSync(checkout);
    const fossil = (...args: string[]) => must(['fossil', ...args], checkout);
    await fossil('open', file, '--nosync');
    return {
      file,
      row,
      checkout,
      fossil,
      write: (name: string, content: string | Buffer) => {
        mkdirSync(dirname(join(checkout, name)), { recursive: true });
        writeFileSync(join(checkout, name), content);
        // Fossil 2.21 takes a file of the same size and second for unchanged.
        utimesSync(join(checkout, name), ++clock, clock);
      },
      /** Commits all that is in the checkout. @returns the check-in's hash */
      commit: async (text: string, ...args: string[]) => {
        await fossil('addremove', '--dotfiles');
        const said = await fossil(
          ...[
            'commit',
            '--no-warnings',
            '--allow-empty',
            '--allow-fork',
            '--allow-older',
            '-m',
            text,
            ...args,
          ],
        );
        const [, hash] = /New_Version: ([0-9a-f]+)/.exec(said) ?? [];
        if (hash === undefined) throw new Error(said);
        return hash;
      },
      sql: (text: string) => change(file, text),
    };
  };
  return {
    root,
    forge,
    must,
    change,
    /** A repository that a person works in, in a checkout of their own. */
    async repository() {
      const file = join(paths.repos, `r${count + 1}.fossil`);
      await initRepository(file, join(root, 'home'));
      // As Litestream keeps those that it replicates.
      change(file, 'PRAGMA journal_mode = WAL');
      return open(file, enter(file));
    },
    open,
    /** A repository that Fossil imports from a stream as `git fast-export` writes it. */
    async imported(stream: AsyncIterable<string | Buffer> | Iterable<string | Buffer>) {
      const file = join(paths.repos, `r${count + 1}.fossil`);
      const child = spawn('fossil', ['import', '--git', '--quiet', file], {
        env: cleanEnvironment(env),
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const ended = once(child, 'close');
      for await (const piece of stream)
        if (!child.stdin.write(piece)) await Promise.race([once(child.stdin, 'drain'), ended]);
      child.stdin.end();
      await ended;
      change(file, 'PRAGMA journal_mode = WAL');
      return { file, row: enter(file) };
    },
    [Symbol.dispose]: () => {
      store.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Changes a repository as nobody should: by SQL. */
function change(file: string, sql: string): void {
  using database = new DatabaseSync(file, { timeout: 15_000, enableForeignKeyConstraints: false });
  database.exec(sql);
}

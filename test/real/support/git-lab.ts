import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, run } from '../../../src/system/run.ts';

/** A folder with a cache, bare repositories and the room that work with remotes needs. */
export type GitLab = ReturnType<typeof startGitLab>;

const env = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ann Example',
  GIT_AUTHOR_EMAIL: 'ann@example.org',
  GIT_COMMITTER_NAME: 'Ann Example',
  GIT_COMMITTER_EMAIL: 'ann@example.org',
};

/** Real Git repositories in a temporary folder. */
export function startGitLab() {
  const root = mkdtempSync(join(tmpdir(), 'git-lab-'));
  const tmp = join(root, 'tmp');
  mkdirSync(tmp, { mode: 0o700 });
  let clock = 1_600_000_000;

  const git = async (folder: string, args: readonly string[], more: Partial<Command> = {}) => {
    const { stdout } = await run({
      argv: ['git', `--git-dir=${folder}`, ...args],
      ...more,
      env: { ...env, HOME: root, ...more.env },
    });
    return stdout.trim();
  };

  /** A bare repository that may be pushed to by HTTP, too. */
  const bare = async (name: string, options: { head?: string } = {}): Promise<string> => {
    const folder = join(root, name);
    await git(folder, ['init', '--quiet', '--bare', `--initial-branch=${options.head ?? 'master'}`]);
    await git(folder, ['config', 'http.receivepack', 'true']);
    return folder;
  };

  /** A commit with one file. @returns its hash */
  const commit = async (
    folder: string,
    text: string,
    options: { parents?: readonly string[]; content?: string; author?: string } = {},
  ): Promise<string> => {
    clock += 60;
    const blob = await git(folder, ['hash-object', '-w', '--stdin'], {
      input: options.content ?? text,
    });
    const tree = await git(folder, ['mktree'], { input: `100644 blob ${blob}\tfile\n` });
    const parents = (options.parents ?? []).flatMap((parent) => ['-p', parent]);
    return git(folder, ['commit-tree', ...parents, '-m', text, tree], {
      env: {
        GIT_AUTHOR_DATE: `${clock} +0000`,
        GIT_COMMITTER_DATE: `${clock} +0000`,
        ...(options.author !== undefined && { GIT_AUTHOR_NAME: options.author }),
      },
    });
  };

  /** Every ref of a repository with its hash. */
  const refs = async (folder: string): Promise<Record<string, string>> => {
    const text = await git(folder, ['for-each-ref', '--format=%(refname) %(objectname)']);
    return Object.fromEntries(
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line): [string, string] => [
          line.slice(0, line.indexOf(' ')),
          line.slice(line.indexOf(' ') + 1),
        ]),
    );
  };

  return {
    root,
    /** What `withRemote` needs of a forge. */
    forge: { run, paths: { tmp } },
    ...{ git, bare, commit, refs },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

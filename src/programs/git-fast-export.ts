import type { Command } from '../system/run.ts';

const git = 'git';

/**
 * Writes a history as a stream: what leads to `tips` and not to a commit of the marks. Objects have marks, commits their own hash besides; a
 * commit is told as what differs from its first parent. Paths are quoted only where they hold a quote, a backslash or a control character.
 * @param marks a file with `:NUMBER HASH` for every commit that is known
 */
export const gitFastExport = (folder: string, tips: readonly string[], marks: string): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    ...['-c', 'core.quotePath=false', 'fast-export'],
    ...['--show-original-ids', '--reencode=yes', '--signed-tags=strip', '--tag-of-filtered-object=drop'],
    `--import-marks=${marks}`,
    '--stdin',
  ],
  input: `${tips.join('\n')}\n`,
});

/** The commits that `tips` lead to and `known` don't, children before parents, each with its parents. */
export const gitGraph = (folder: string, tips: readonly string[], known: readonly string[]): Command => ({
  argv: [git, `--git-dir=${folder}`, 'rev-list', '--topo-order', '--parents', '--stdin'],
  input: [...tips, ...known.map((hash) => `^${hash}`), ''].join('\n'),
});

/** Reads what `gitGraph` printed, in its order: a commit's parents by its hash. */
export const readGraph = (stdout: string): Map<string, string[]> =>
  new Map(
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string[]] => {
        const [hash = '', ...parents] = line.split(' ');
        return [hash, parents];
      }),
  );

/** For each hash the commit that it leads to: `HASH TYPE` a line, `MISSING` where there is none. */
export const gitPeel = (folder: string, hashes: readonly string[]): Command => ({
  argv: [git, `--git-dir=${folder}`, 'cat-file', '--batch-check=%(objectname) %(objecttype)'],
  input: `${hashes.map((hash) => `${hash}^{commit}`).join('\n')}\n`,
});

/** Reads what `gitPeel` printed. @returns the commit of each hash that leads to one */
export function readPeeled(stdout: string, hashes: readonly string[]): Map<string, string> {
  const lines = stdout.split('\n');
  return new Map(
    hashes.flatMap((hash, index): [string, string][] => {
      const [commit = '', type] = lines[index]?.split(' ') ?? [];
      return type === 'commit' ? [[hash, commit]] : [];
    }),
  );
}

/** Where HEAD of a remote leads, and what it is. */
export const gitRemoteHead = (url: string): Command => ({
  argv: [git, 'ls-remote', '--symref', '--', url, 'HEAD'],
});

/** The branch that HEAD of a remote is, as `gitRemoteHead` printed it; undefined when it is none. */
export const readRemoteHead = (stdout: string): string | undefined =>
  /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(stdout)?.[1];

/** Makes the branches and tags of a bare repository what they are on a remote, and nothing else of it. */
export const gitFetchRefs = (folder: string, url: string): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    ...['fetch', '--progress', '--no-tags', '--prune', '--force'],
    ...['--no-write-fetch-head', '--no-auto-maintenance', '--no-recurse-submodules'],
    '--',
    url,
    '+refs/heads/*:refs/heads/*',
    '+refs/tags/*:refs/tags/*',
  ],
});

/** The branches and tags of a repository on this machine, as `ls-remote` prints a remote's. */
export const gitShowRefs = (folder: string): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    ...['for-each-ref', '--format=%(objectname)%09%(refname)', 'refs/heads/', 'refs/tags/'],
  ],
});

/** A path of the stream as its bytes: one that holds special characters is quoted as in C (quote.c). */
export function unquotePath(path: string): string {
  if (!path.startsWith('"')) return path;
  return path
    .slice(1, -1)
    .replaceAll(/\\([0-7]{3}|.)/gs, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(parseInt(code, 8)) : (letters[code] ?? code),
    );
}

const letters: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

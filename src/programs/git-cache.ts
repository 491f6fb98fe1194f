import type { Command } from '../system/run.ts';

/** What git gets besides: nobody's settings, no questions, messages in English. */
const environment = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  LC_ALL: 'C',
};

const git = (folder: string, ...args: string[]): Pick<Command, 'argv' | 'env'> => ({
  argv: ['git', '-C', folder, ...args],
  env: environment,
});

/** A new bare repository without hooks. Its first branch's name is never used. */
export const gitInitCache = (folder: string): Command => ({
  argv: ['git', 'init', '--quiet', '--bare', '--template=', '--initial-branch=main', folder],
  env: environment,
});

/**
 * Reads a stream of files and commits from standard input and ends well only after its `done`. Always one pack a time, nothing loose;
 * quickly packed, since what is pushed is packed anew.
 * @param marks the file that says at the end which mark became which object
 */
export const gitFastImport = (folder: string, marks: string): Command => ({
  ...git(
    folder,
    ...['-c', 'fastimport.unpackLimit=0', '-c', 'pack.compression=1', '-c', 'core.bigFileThreshold=64m'],
    ...['fast-import', '--done', '--quiet', '--force', '--date-format=raw', `--export-marks=${marks}`],
  ),
  timeout: 24 * 3_600_000,
});

/** Sets and removes refs, all or none. @param changes the new hash of each; undefined removes it */
export const gitUpdateRefs = (folder: string, changes: ReadonlyMap<string, string | undefined>): Command => ({
  ...git(folder, 'update-ref', '--stdin', '-z'),
  input: [...changes]
    .map(([ref, hash]) => (hash === undefined ? `delete ${ref}\0\0` : `update ${ref}\0${hash}\0\0`))
    .join(''),
});

/** Every ref of a repository; see `readRefs`. */
export const gitRefs = (folder: string, ...under: string[]): Command =>
  git(folder, 'for-each-ref', '--format=%(objectname) %(refname)', ...under);

/** What `gitRefs` printed: hash by ref. */
export const readRefs = (stdout: string): Map<string, string> =>
  new Map(
    stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))]),
  );

/** Packs small packs together. */
export const gitJoinPacks = (folder: string): Command => ({
  ...git(folder, 'repack', '--quiet', '-d', '--geometric=2'),
  timeout: 24 * 3_600_000,
});

/** Makes one pack of all that a ref leads to, and drops everything else. */
export const gitDropUnreachable = (folder: string): Command => ({
  ...git(folder, 'repack', '--quiet', '-a', '-d'),
  timeout: 24 * 3_600_000,
});

/** Says of each of some objects whether it is there; see `readMissing`. */
export const gitLookFor = (folder: string, hashes: readonly string[]): Command => ({
  ...git(folder, 'cat-file', '--batch-check', '--buffer'),
  input: hashes.map((hash) => `${hash}\n`).join(''),
});

/** What `gitLookFor` did not find. */
export const readMissing = (stdout: string): string[] =>
  stdout.split('\n').flatMap((line) => (line.endsWith(' missing') ? [line.slice(0, line.indexOf(' '))] : []));

/**
 * Writes objects: `HASH TYPE SIZE`, a line end, the content, a line end; of one that isn't there `HASH missing`.
 * @param which those whose hashes are written to it, or all that the repository has, reachable or not
 */
export const gitReadObjects = (folder: string, which: 'asked' | 'all'): Command => ({
  ...git(
    folder,
    ...['cat-file', '--batch', '--buffer'],
    ...(which === 'all' ? ['--batch-all-objects', '--unordered'] : []),
  ),
  timeout: 24 * 3_600_000,
});

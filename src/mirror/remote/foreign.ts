import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitBeyond, gitFetchCommits, gitInitBare, gitLog, gitTypes } from '../../programs/git.ts';
import { type ForeignCommit, readLog } from '../../programs/git-output.ts';
import type { RemoteGit } from './remote.ts';
import type { Refs } from './standing.ts';

/** The commits of one ref that are on the remote and not among ours, newest first. */
export type Foreign = {
  commits: ForeignCommit[];
  /** There are more than are listed. */
  more: boolean;
  /** Why they could not be read, when they could not. */
  unread: string | undefined;
};

/** Commits listed for a ref, and refs whose commits are read: enough to see whose work it is. */
const mostCommits = 20;
const mostRefs = 20;

/**
 * Which of a remote's values lead to a commit that none of `wanted` leads to. What is not in the cache never came from us; what is, and is
 * part of what is wanted, loses nothing when its ref is moved: a push that was killed before it was written down leaves such.
 * @param folder the cache
 */
export async function foreignValues(
  git: RemoteGit,
  folder: string,
  values: readonly string[],
  wanted: Refs,
): Promise<ReadonlySet<string>> {
  if (values.length === 0) return new Set();
  const types = await git.local(gitTypes(folder, values));
  const here = types.stdout
    .split('\n')
    .filter((line) => line.endsWith(' commit'))
    .map((line) => line.slice(0, line.indexOf(' ')));
  if (here.length === 0) return new Set(values);
  const kept = await allBehind(git, folder, [...wanted.values()]);
  const known = new Set(here.filter((hash) => kept.has(hash)));
  return new Set(values.filter((hash) => !known.has(hash)));
}

/**
 * All commits that some lead to. Git's own difference (`A ^B`) goes by dates: behind a check-in with an old one it takes for missing what is
 * there (SEEN with 2.39).
 */
async function allBehind(
  git: RemoteGit,
  folder: string,
  tips: readonly string[],
): Promise<ReadonlySet<string>> {
  const { stdout } = await git.local(gitBeyond(folder, tips, []));
  return new Set(stdout.split('\n'));
}

/**
 * Reads the foreign commits of diverged refs, without letting them into the cache: they are fetched into a repository of their own that only
 * borrows the cache's objects. It never fails for what the remote does: what could not be read says so.
 * @param diverged ref → its value on the remote @param ours hashes that are known on both sides
 */
export async function readForeign(
  git: RemoteGit,
  folder: string,
  diverged: Refs,
  ours: readonly string[],
): Promise<ReadonlyMap<string, Foreign>> {
  if (diverged.size === 0) return new Map();
  const quarantine = join(git.folder, 'foreign');
  await git.local(gitInitBare(quarantine));
  writeFileSync(join(quarantine, 'objects/info/alternates'), `${join(folder, 'objects')}\n`);
  const looked = [...diverged.keys()].slice(0, mostRefs);
  const local = (index: number): string => `refs/foreign/${index}`;
  const specs = looked.map((ref, index) => `+${ref}:${local(index)}`);
  try {
    // One more, so that it shows whether there are more.
    await git.run(gitFetchCommits(quarantine, git.address.url, specs, mostCommits + 1), 'ask');
    const logs = new Map<string, Foreign>();
    const kept = await allBehind(git, folder, ours);
    for (const [index, ref] of looked.entries()) {
      const { stdout } = await git.local(gitLog(quarantine, local(index), ours, mostCommits + 1));
      const commits = readLog(stdout).filter(({ hash }) => !kept.has(hash));
      const more = commits.length > mostCommits;
      logs.set(ref, { commits: commits.slice(0, mostCommits), more, unread: undefined });
    }
    for (const ref of diverged.keys()) if (!logs.has(ref)) logs.set(ref, unread('many refs diverged'));
    return logs;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return new Map([...diverged.keys()].map((ref) => [ref, unread(why)]));
  }
}

const unread = (why: string): Foreign => ({ commits: [], more: true, unread: why });

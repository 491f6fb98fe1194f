import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatorError } from '../../errors.ts';
import { gitTypes } from '../../programs/git.ts';
import { gitFastExport, gitGraph, gitPeel, readGraph, readPeeled } from '../../programs/git-fast-export.ts';
import type { ImportedRefs } from '../../store/git-imports.ts';
import type { Run } from '../../system/run.ts';
import { ProgramFailed, start } from '../../system/stream.ts';
import type { Aside } from './aside.ts';
import { assignBranches, type Graph, type Tip } from './assign.ts';
import { byteReader } from './byte-reader.ts';
import { type Exported, readExport } from './export-stream.ts';
import type { Hosted } from './hosted.ts';
import { fossilNames, trunk } from './names.ts';
import { settleTrunk, writeTags } from './pointers.ts';
import { commentOf, userOf } from './texts.ts';
import { trees } from './trees.ts';
import { checkinText, harmless, type TagCard, type TreeFile } from './write-artifact.ts';

/** What an import is made from; made from the same again, it is the same. */
export type HistoryWish = {
  /** The bare Git repository that has it all. */
  folder: string;
  refs: ImportedRefs;
  /** Without `refs/heads/`. */
  main: string;
  /** Whether it was another one before. */
  otherMain?: boolean;
  /** Milliseconds since 1970, of what has no date in Git. */
  at: number;
  /** What was imported before: Fossil's hashes by Git's, and the refs. */
  marks: ReadonlyMap<string, string>;
  last: ImportedRefs;
  /** The repository that it goes on in; undefined for a new one. */
  hosted: Hosted | undefined;
  signal?: AbortSignal | undefined;
  progress?: ((done: number, all: number) => void) | undefined;
};

/** What was written. */
export type History = {
  /** Of the new commits only. */
  marks: Map<string, string>;
  /** Tags that were set or moved. */
  tags: number;
  /** Submodules that commits name: there is nothing of them here. */
  submodules: number;
  /** Files that had the form of a Fossil artifact and got a line more. */
  altered: number;
  /** New branches without a commit of their own, which Fossil has no place for. */
  unseen: string[];
};

/**
 * Writes the commits of Git that are new, as check-ins with the same trees, parents, dates and texts, and the tags.
 * @param work a folder for a file of its own
 * @throws OperatorError when git ends before all was told; then nothing of it may be used
 */
export async function writeHistory(
  run: Run,
  aside: Aside,
  work: string,
  wish: HistoryWish,
): Promise<History> {
  const { folder, refs, marks } = wish;
  const hashes = [...new Set([...refs.values(), ...wish.last.values()])];
  const { stdout: peeled } = await run({ ...gitPeel(folder, hashes), ...limits(wish) });
  const commitOf = readPeeled(peeled, hashes);
  const graph = await newCommits(run, wish, [
    ...new Set([...refs.values()].flatMap((hash) => commitOf.get(hash) ?? [])),
  ]);
  const names = fossilNames(refs.keys(), wish.main);
  const tips = (named: ReadonlyMap<string, string>): (Tip & { ref: string })[] =>
    [...named].flatMap(([ref, name]) => {
      const commit = commitOf.get(refs.get(ref) ?? '');
      return commit === undefined ? [] : [{ ref, name, commit }];
    });
  const [branches, tags] = [tips(names.branches), tips(names.tags)];
  const assigned = assignBranches(graph, branches, tags);
  const main = branches.find(({ name }) => name === trunk);
  const settled = settleTrunk(aside, wish, main);
  const branchOf = (commit: string): string | undefined =>
    assigned.get(commit) ?? settled.get(commit) ?? wish.hosted?.branch(marks.get(commit) ?? '');
  const written: Written = { fossil: new Map(), dates: new Map(), submodules: 0, altered: 0 };
  if (graph.size > 0) await writeCommits(run, aside, work, wish, graph, branchOf, written);
  const set = writeTags(aside, wish, tags, written, (hash) => commitOf.get(hash) ?? hash);
  const { fossil, submodules, altered } = written;
  const named = new Set(assigned.values());
  const isUnseen = ({ ref, name }: (typeof branches)[number]) =>
    name !== trunk && !named.has(name) && !wish.last.has(ref);
  const unseen = branches.filter(isUnseen).map(({ name }) => name);
  return { marks: fossil, tags: set, submodules, altered, unseen };
}

/** Commits that were written, by Git's hash. */
export type Written = {
  fossil: Map<string, string>;
  /** Seconds since 1970, and who by. */
  dates: Map<string, { at: number; user: string }>;
  submodules: number;
  altered: number;
};

const limits = ({ signal }: Pick<HistoryWish, 'signal'>) => ({ group: true, timeout: 3_600_000, signal });

async function newCommits(
  run: Run,
  wish: HistoryWish,
  tips: readonly string[],
): Promise<Map<string, string[]>> {
  const here = await known(run, wish, [...wish.last.values()]);
  const fresh = tips.filter((tip) => !wish.marks.has(tip));
  if (fresh.length === 0) return new Map();
  const { stdout } = await run({ ...gitGraph(wish.folder, fresh, here), ...limits(wish) });
  return new Map([...readGraph(stdout)].filter(([commit]) => !wish.marks.has(commit)));
}

/** Those objects of `hashes` that are here. */
async function known(run: Run, wish: HistoryWish, hashes: readonly string[]): Promise<string[]> {
  if (hashes.length === 0) return [];
  const { stdout } = await run({ ...gitTypes(wish.folder, hashes), ...limits(wish) });
  return stdout
    .split('\n')
    .flatMap((line) => (/^([0-9a-f]{40,64}) (commit|tag)$/.exec(line) ?? []).slice(1, 2));
}

async function writeCommits(
  run: Run,
  aside: Aside,
  work: string,
  wish: HistoryWish,
  graph: Graph,
  branchOf: (commit: string) => string | undefined,
  written: Written,
): Promise<void> {
  const marksFile = join(work, 'marks');
  const before = await known(run, wish, [...wish.marks.keys()]);
  writeFileSync(marksFile, before.map((hash, index) => `:${index + 1} ${hash}\n`).join(''));
  const fresh = new Set(graph.keys());
  for (const parents of graph.values()) for (const parent of parents) fresh.delete(parent);
  const exporting = start({ ...gitFastExport(wish.folder, [...fresh], marksFile) }, wish.signal);
  exporting.input.end(`${[...fresh].join('\n')}\n`);
  const blobs = new Map<number, string>();
  const fossilOf = (commit: string): string => {
    const hash = written.fossil.get(commit) ?? wish.marks.get(commit);
    if (hash === undefined) throw new Error(`the commit ${commit} was not told of`);
    return hash;
  };
  const files = trees(
    graph,
    (commit) => wish.hosted?.tree(fossilOf(commit)) ?? new Map<string, TreeFile>(),
    (mark) => blobs.get(mark),
  );
  const writeCommit = (commit: Exported & { is: 'commit' }): void => {
    const parents = graph.get(commit.hash);
    if (parents === undefined) throw new Error(`the commit ${commit.hash} was not asked for`);
    const user = userOf(commit.author);
    const text = checkinText({
      comment: commentOf(commit.message),
      at: commit.at,
      files: files.next(commit.hash, commit.changes),
      parents: [...new Set(parents.map(fossilOf))],
      tags: branchCards(branchOf(commit.hash), parents[0] === undefined ? undefined : branchOf(parents[0])),
      user,
    });
    written.fossil.set(commit.hash, aside.add(text, 1));
    written.dates.set(commit.hash, { at: commit.at, user });
    written.submodules += commit.submodules;
    if (written.fossil.size % 100 === 0) wish.progress?.(written.fossil.size, graph.size);
  };
  try {
    for await (const record of readExport(byteReader(exporting.output)))
      if (record.is === 'commit') writeCommit(record);
      else {
        const content = harmless(record.content);
        if (content !== record.content) written.altered += 1;
        blobs.set(record.mark, aside.add(content));
      }
    await exporting.ended;
  } catch (error) {
    wish.signal?.throwIfAborted();
    if (error instanceof OperatorError && !(error instanceof ProgramFailed)) throw error;
    throw cut(messageOf(error));
  } finally {
    exporting.stop();
    await exporting.ended.catch(() => undefined);
  }
  if (written.fossil.size !== graph.size)
    throw cut(`${written.fossil.size} of ${graph.size} commits were told`);
}

/** A check-in that is on another branch than its first parent says so. */
function branchCards(branch: string | undefined, former: string | undefined): TagCard[] {
  if (branch === undefined) throw new Error('a commit is on no branch');
  if (branch === former) return [];
  return [
    { sign: '*', name: 'branch', on: '*', value: branch },
    { sign: '*', name: `sym-${branch}`, on: '*' },
    ...(former === undefined ? [] : [{ sign: '-', name: `sym-${former}`, on: '*' } as const]),
  ];
}

const cut = (why: string): OperatorError =>
  new OperatorError(`Git's history did not come whole, and nothing of it was taken: ${why}.`, {
    next: 'Run it again; git fsck in the remote says whether it is damaged.',
  });

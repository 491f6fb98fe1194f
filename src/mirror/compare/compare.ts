import { openRepository } from '../../repos/open.ts';
import { gitReadObjects } from '../../programs/git-cache.ts';
import { start } from '../../system/stream.ts';
import { type FossilSide, fossilSide } from './fossil-side.ts';
import { type GitCommit, type GitObjects, readObjects } from './objects.ts';
import { treeHashes } from './tree.ts';

/** What came of a comparison of a repository with its Git side. */
export type Comparison = {
  /** How many check-ins, entries in their trees, and different files were compared. */
  checkins: number;
  entries: number;
  files: number;
  /** One sentence for each difference, some of them; empty when all is equal. */
  differences: readonly string[];
  /** How many differences there are in all. */
  count: number;
};

export type CompareOptions = {
  /** Only these check-ins, by Fossil's hash, with what Git should have for them. Without it everything that Git has is looked at. */
  sample?: {
    checkins: ReadonlySet<string>;
    git: (checkin: string) => string | undefined;
    files: (file: string) => string | undefined;
  };
  /** Check-ins that were received later than this are not missed. Milliseconds since 1970. */
  since?: number;
  /** Check-ins that are not missed either. */
  waiting?: ReadonlySet<string>;
  signal?: AbortSignal;
};

/** How many differences are told. */
const told = 50;

/**
 * Compares a repository with a Git repository, check-in by check-in, by a way of its own: what a check-in is follows from its manifest, and
 * what Git has from its objects, each of which is hashed as Git and as Fossil do it.
 * @param file the repository
 * @param git any repository of Git's that should hold it: the cache, or a clone of a mirror
 * @throws OperatorError when one of them can't be read at all
 */
export async function compareWithGit(
  file: string,
  git: string,
  options: CompareOptions = {},
): Promise<Comparison> {
  using database = openRepository(file, { readOnly: true });
  // One state of it, whatever is pushed meanwhile; but only where no writer waits for a reader.
  if (database.prepare('PRAGMA journal_mode').get()?.['journal_mode'] === 'wal') database.exec('BEGIN');
  const fossil = fossilSide(database, options.since ?? Infinity);
  const objects = await objectsFor(git, fossil, options);
  const result = { checkins: 0, entries: 0, files: new Set<string>(), differences: [] as string[], count: 0 };
  const differs = (what: string) => {
    result.count += 1;
    if (result.differences.length < told) result.differences.push(what);
  };
  for (const hash of objects.damaged) differs(`Git's object ${hash} is missing or damaged`);
  const commits = commitsByOrigin(objects, fossil, differs);
  for (const [hash] of objects.files)
    if (fossil.hidden.has(hash)) differs(`the hidden file ${hash} is in Git`);
  const { sample, waiting } = options;
  // Whether a check-in has a commit at all is asked of each, also when only some are read.
  for (const hash of fossil.checkins)
    if (!(sample ? sample.git(hash) : commits.has(hash)) && !fossil.later.has(hash) && !waiting?.has(hash))
      differs(`check-in ${hash} is not in Git`);
  for (const hash of fossil.ordered(sample?.checkins ?? fossil.checkins)) {
    const commit = commits.get(hash);
    if (commit === undefined) continue;
    const { entries, files } = compareOne(hash, commit, { fossil, objects, commits, options }, differs);
    result.checkins += 1;
    result.entries += entries;
    for (const one of files) result.files.add(one);
  }
  return { ...result, files: result.files.size };
}

type Found = GitCommit & { hash: string };

/** The commits by the check-in that each names. */
function commitsByOrigin(
  { commits }: GitObjects,
  fossil: FossilSide,
  differs: (what: string) => void,
): Map<string, Found> {
  const found = new Map<string, Found>();
  for (const [hash, commit] of commits) {
    const { origin } = commit;
    if (origin === undefined) differs(`commit ${hash} names no check-in`);
    else if (fossil.hidden.has(origin)) differs(`the hidden check-in ${origin} is in Git as ${hash}`);
    else if (!fossil.checkins.has(origin))
      differs(`commit ${hash} names ${origin}, which is no check-in here`);
    else if (found.has(origin)) differs(`check-in ${origin} is in Git twice`);
    else found.set(origin, { hash, ...commit });
  }
  return found;
}

type Both = {
  fossil: FossilSide;
  objects: GitObjects;
  commits: ReadonlyMap<string, Found>;
  options: CompareOptions;
};

function compareOne(
  hash: string,
  commit: Found,
  { fossil, objects, commits, options }: Both,
  differs: (what: string) => void,
): { entries: number; files: string[] } {
  const manifest = fossil.manifest(hash);
  const tree = fossil.tree(manifest);
  const files = tree.map(({ name, hash, mode }) => ({ path: name, mode, git: objects.files.get(hash) }));
  const missing = tree.filter((_, index) => files[index]?.git === undefined);
  for (const { name, hash: content } of missing)
    differs(
      `check-in ${hash}: the content ${content} of ${Buffer.from(name, 'latin1').toString()} is not in Git`,
    );
  const trees = treeHashes(files.map((file) => ({ ...file, git: file.git ?? '' })));
  if (missing.length === 0 && trees.at(-1) !== commit.tree)
    differs(`check-in ${hash} has other files, names or modes in Git (${commit.hash})`);
  else if (trees.some((one) => !objects.trees.has(one))) differs(`check-in ${hash} lacks a folder in Git`);
  const gitOf = (parent: string) => commits.get(parent)?.hash ?? options.sample?.git(parent);
  const [first, ...others] = manifest.parents
    .filter((parent) => fossil.checkins.has(parent))
    .map((parent) => gitOf(parent) ?? parent);
  const expected = [first, ...others.sort()].join(' ');
  const [given, ...merged] = commit.parents;
  if (expected !== [given, ...merged.toSorted()].join(' '))
    differs(`check-in ${hash} has other parents in Git`);
  if (commit.at !== Math.max(0, Math.floor(manifest.at / 1000)))
    differs(`check-in ${hash} has another date in Git`);
  if (commit.text !== (manifest.comment || '(no comment)'))
    differs(`check-in ${hash} has another text in Git`);
  return { entries: tree.length, files: files.flatMap(({ git }) => git ?? []) };
}

/** All that Git has, or what a sample needs. */
async function objectsFor(
  git: string,
  fossil: FossilSide,
  { sample, signal }: CompareOptions,
): Promise<GitObjects> {
  if (sample === undefined) return objectsOf(git, 'all', [], signal);
  const files = new Set<string>();
  const trees = new Set<string>();
  for (const checkin of fossil.ordered(sample.checkins.intersection(fossil.checkins))) {
    const known = fossil.tree(fossil.manifest(checkin)).flatMap(({ name, mode, hash }) => {
      const there = sample.files(hash);
      return there === undefined ? [] : [{ path: name, mode, git: there }];
    });
    for (const { git } of known) files.add(git);
    for (const hash of treeHashes(known)) trees.add(hash);
  }
  const commits = [...sample.checkins].flatMap((hash) => sample.git(hash) ?? []);
  return objectsOf(git, 'asked', [...commits, ...trees, ...files], signal);
}

async function objectsOf(
  git: string,
  which: 'all' | 'asked',
  hashes: readonly string[],
  signal?: AbortSignal,
): Promise<GitObjects> {
  const reading = start(gitReadObjects(git, which), signal);
  try {
    reading.input.end(hashes.map((hash) => `${hash}\n`).join(''));
    const found = await readObjects(reading.output);
    await reading.ended;
    return found;
  } finally {
    reading.stop();
  }
}

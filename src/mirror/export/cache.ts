import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { fossilInit } from '../../programs/fossil.ts';
import { gitInitCache } from '../../programs/git-cache.ts';
import { type Scratch, scratch } from '../../repos/scratch.ts';
import type { Repository } from '../../store/repositories.ts';
import { CommandError, type Run } from '../../system/run.ts';
import { ProgramFailed } from '../../system/stream.ts';
import type { RefFacts } from './facts.ts';
import { type Hashes, inCache, isWhole, notePacks, openHashes } from './hashes.ts';
import { type Imported, importInto } from './import.ts';
import { keepAlive, tidy } from './keep.ts';
import { pick, type Picked } from './pick.ts';
import { cacheFolder, dropCache } from './place.ts';

/** A repository as Git has it. */
export type MirrorCache = {
  /** A bare Git repository with a commit for every check-in. It has no branches: those are pushed by hash. */
  folder: string;
  /** Git's hash of every exported check-in, by Fossil's. */
  commits: ReadonlyMap<string, string>;
  facts: RefFacts;
  /** How many commits were made now. */
  made: number;
};

type Part = Pick<Forge, 'run' | 'config' | 'paths' | 'store'>;
type Mirrored = Pick<Repository, 'id' | 'name' | 'file'>;

export type RefreshOptions = {
  signal?: AbortSignal;
  /** Told from time to time how many of all new check-ins were written. */
  progress?: (done: number, all: number) => void;
};

/**
 * Brings a repository's Git side up to date, or makes it. It may be killed at any moment and called again, and a damaged or deleted one is
 * made anew: the hashes are the same. The repository is only read, for as long as it takes to copy what is new. The caller holds the lock
 * for its mirrors.
 * @throws OperatorError when it can't be done; then the Git side is as it was
 */
export async function refreshCache(
  forge: Part,
  row: Mirrored,
  options: RefreshOptions = {},
): Promise<MirrorCache> {
  const had = existsSync(inCache(cacheFolder(forge.paths, row.id)).hashes);
  try {
    return await refresh(forge, row, options);
  } catch (error) {
    if (!had || options.signal?.aborted || !isDamage(error)) throw error;
    dropCache(forge.paths, row.id);
    return refresh(forge, row, options);
  }
}

class Damaged extends Error {}

/** Git refuses what it can't find or read; that it was killed, or the disk is full, says nothing about the cache. */
function isDamage(error: unknown): boolean {
  if (error instanceof ProgramFailed) return error.killedBy === null && isGits(error.message, error.said);
  if (error instanceof CommandError) return error.ended === 'answered' && isGits(error.message, error.stderr);
  return error instanceof Damaged;
}

const isGits = (message: string, said: string): boolean =>
  message.startsWith('git ') && !said.includes('No space left');

async function refresh(forge: Part, row: Mirrored, options: RefreshOptions): Promise<MirrorCache> {
  const folder = cacheFolder(forge.paths, row.id);
  const { git, empty } = inCache(folder);
  using hashes = await openCache(forge, folder);
  using work = scratch(forge.paths);
  const files = join(work.path, 'files.fossil');
  copyFileSync(empty, files);
  const known = hashes.checkins();
  using picked = pick(
    join(forge.paths.data, row.file),
    { file: hashes.file, checkins: known },
    { folder: work.path, files },
  );
  const commits = new Map([...known].map(([hash, { git }]) => [hash, git]));
  if (picked.fresh > 0 || picked.stale.length > 0) {
    const place = { repository: row.id, git, files, work: work.path };
    const imported = await importInto(forge, place, picked, (hash) => known.get(hash)?.git, options);
    remember(hashes, git, picked, imported);
    for (const hash of picked.stale) commits.delete(hash);
    for (const [hash, commit] of imported.checkins) commits.set(hash, commit);
  }
  const run: Run = (command) => forge.run({ ...command, group: true, signal: options.signal });
  await keepAlive(run, git, hashes, leavesOf(picked.facts, commits));
  await tidy(run, git, hashes);
  return { folder: git, commits, facts: picked.facts, made: picked.fresh };
}

/** @throws Damaged when something of it is not as it was left */
async function openCache(forge: Part, folder: string): Promise<Hashes> {
  const { git, hashes: file, empty } = inCache(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(empty)) await makeEmpty(forge, empty);
  if (!existsSync(file)) {
    rmSync(git, { recursive: true, force: true });
    await forge.run(gitInitCache(git));
  }
  let hashes: Hashes | undefined;
  try {
    hashes = openHashes(folder);
    if (isWhole(git, hashes.packs())) return hashes;
  } catch (error) {
    hashes?.[Symbol.dispose]();
    throw new Damaged(messageOf(error));
  }
  hashes[Symbol.dispose]();
  throw new Damaged('packs are missing');
}

/** Fossil makes it, so that it finds in it what it needs; then what is in it goes. */
async function makeEmpty({ run, config, paths }: Part, file: string): Promise<void> {
  using work: Scratch = scratch(paths);
  const made = join(work.path, 'empty.fossil');
  await run(
    fossilInit(config.programs.fossil, {
      file: made,
      name: 'files',
      adminUser: 'fossilrepo',
      home: work.path,
    }),
  );
  const database = new DatabaseSync(made, { enableForeignKeyConstraints: false });
  for (const table of [
    'event',
    'mlink',
    'plink',
    'leaf',
    'tagxref',
    'delta',
    'blob',
    'unsent',
    'unclustered',
  ])
    database.exec(`DELETE FROM ${table}`);
  database.close();
  copyFileSync(made, `${file}.new`);
  renameSync(`${file}.new`, file);
}

/** From here on it counts as exported. */
function remember(hashes: Hashes, git: string, picked: Picked, imported: Imported): void {
  const { checkins } = picked.history;
  const origin = (hash: string) => checkins.get(hash)?.origin ?? '';
  hashes.change((each) => {
    each(
      'DELETE FROM checkin WHERE fossil = ?',
      picked.stale.map((hash) => [hash]),
    );
    each(
      'INSERT INTO checkin(fossil, git, origin) VALUES (?, ?, ?)',
      [...imported.checkins].map(([hash, commit]) => [hash, commit, origin(hash)]),
    );
    each('INSERT INTO file(fossil, git) VALUES (?, ?)', imported.files);
    if (picked.stale.length > 0) each('INSERT INTO dropping(since) VALUES (?)', [[Date.now()]]);
    notePacks(each, git);
  });
}

/** The commits that no other one leads to. */
function leavesOf({ parents }: RefFacts, commits: ReadonlyMap<string, string>): Set<string> {
  const inner = new Set([...parents.values()].flat());
  return new Set([...commits].flatMap(([hash, commit]) => (inner.has(hash) ? [] : [commit])));
}

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from '../../store/rows.ts';

/** Which form the file has; one of another form is made anew. */
const version = 1;

/** What a cache's Git repository holds: `using hashes = openHashes(folder)`. */
export type Hashes = ReturnType<typeof openHashes>;

/** Runs a statement for each of some rows. */
export type Each = (sql: string, rows: Iterable<readonly (string | number)[]>) => void;

/** Paths in a cache's folder. */
export const inCache = (folder: string) => ({
  git: join(folder, 'git'),
  hashes: join(folder, 'hashes.db'),
  /** A Fossil repository that holds nothing. */
  empty: join(folder, 'empty.fossil'),
});

/**
 * Opens the list of what was exported: Git's hash of every check-in and file by Fossil's, which stays the same when a repository is
 * rebuilt or restored and its rows are numbered anew.
 * @throws Error when it is damaged
 */
export function openHashes(folder: string) {
  const file = inCache(folder).hashes;
  const database = new DatabaseSync(file, { timeout: 15_000 });
  const found = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found !== version && found !== 0) {
    database.close();
    throw new Error('another form of the cache');
  }
  if (found === 0)
    database.exec(`BEGIN;
      CREATE TABLE checkin(fossil TEXT PRIMARY KEY, git TEXT NOT NULL, origin TEXT NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE file(fossil TEXT PRIMARY KEY, git TEXT NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE pack(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      -- Git's hash of each commit that a ref keeps alive.
      CREATE TABLE kept(git TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
      -- One row while objects have yet to be dropped that nothing leads to any more.
      CREATE TABLE dropping(since INTEGER NOT NULL) STRICT;
      PRAGMA user_version = ${version};
      COMMIT`);
  const column = (sql: string) => database.prepare(sql).all();
  const fileOf = database.prepare('SELECT git FROM file WHERE fossil = ?');
  return {
    file,
    /** Git's hash and what it depends on (`Checkin.origin`), by Fossil's hash. */
    checkins: (): Map<string, { git: string; origin: string }> =>
      new Map(
        column('SELECT fossil, git, origin FROM checkin').map((row) => [
          text(row, 'fossil'),
          { git: text(row, 'git'), origin: text(row, 'origin') },
        ]),
      ),
    /** The commits that refs keep alive. */
    kept: (): Set<string> => new Set(column('SELECT git FROM kept').map((row) => text(row, 'git'))),
    /** Git's hash of a file. */
    fileOf: (fossil: string): string | undefined => {
      const row = fileOf.get(fossil);
      return row && text(row, 'git');
    },
    /** Git's hashes of all files. */
    files: (): string[] => column('SELECT git FROM file').map((row) => text(row, 'git')),
    isDropping: (): boolean => column('SELECT 1 FROM dropping').length > 0,
    packs: (): Map<string, number> =>
      new Map(column('SELECT name, bytes FROM pack').map((row) => [text(row, 'name'), Number(row['bytes'])])),
    /** Does `work` in one transaction. */
    change: (work: (each: Each) => void): void => {
      database.exec('BEGIN IMMEDIATE');
      try {
        work((sql, rows) => {
          const statement = database.prepare(sql);
          for (const row of rows) statement.run(...row);
        });
        database.exec('COMMIT');
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    [Symbol.dispose]: () => {
      if (database.isOpen) database.close();
    },
  };
}

/** The packs that a Git repository has, with their sizes in bytes. */
export function packsIn(git: string): Map<string, number> {
  const folder = join(git, 'objects/pack');
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, statSync(join(folder, name)).size]),
  );
}

/** Lists the packs that are there, as what has to be there. */
export function notePacks(each: Each, git: string): void {
  each('DELETE FROM pack', [[]]);
  each('INSERT INTO pack(name, bytes) VALUES (?, ?)', packsIn(git));
}

/**
 * Whether everything that is listed is there, as long as it was. What a killed export left besides is removed.
 * @throws Error when there is no such folder
 */
export function isWhole(git: string, packs: ReadonlyMap<string, number>): boolean {
  const there = packsIn(git);
  for (const [name, bytes] of packs) if (there.get(name) !== bytes) return false;
  for (const name of there.keys()) if (!packs.has(name)) rmSync(join(git, 'objects/pack', name));
  for (const name of readdirSync(git)) if (name.startsWith('fast_import_crash_')) rmSync(join(git, name));
  for (const name of readdirSync(git, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.lock')) rmSync(join(git, name));
  return statSync(join(git, 'HEAD')).size > 0 && statSync(join(git, 'refs')).isDirectory();
}

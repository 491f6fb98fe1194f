import { randomUUID } from 'node:crypto';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { moveDurably } from '../system/files.ts';
import { isRoot } from '../system/identity.ts';
import type { Row } from './rows.ts';
import { migrations } from './schema.ts';

/** The open management database. Queries are in this folder, one file a noun. Synchronous; close it or use `using`. */
export type Store = {
  readonly database: DatabaseSync;
  /** A statement, prepared once. */
  readonly statement: (sql: string) => StatementSync;
  readonly close: () => void;
  readonly [Symbol.dispose]: () => void;
};

/** A management database whose tables are a newer fossilrepo's. */
export class NewerDatabase extends OperatorError {
  constructor(file: string, schema: number) {
    super(
      `${file} was written by a newer fossilrepo (schema ${schema}, and this one knows ${migrations.length}).`,
      { next: 'Use that version, or restore the database from before the upgrade.' },
    );
  }
}

/**
 * Opens the management database, brings its tables up to date, and makes it when it isn't there (mode 0600, for the
 * owner of the folder it lies in). WAL mode, which Litestream needs; waits 5 s for another writer.
 * @param options.create false: a missing database is an error, for commands that only make sense on an installed server
 * @throws OperatorError when it is missing and must not be made; NewerDatabase, and it is left as it is
 */
export function openStore(paths: Pick<Paths, 'database'>, options: { create?: boolean } = {}): Store {
  const file = paths.database;
  if (!existsSync(file)) {
    if (options.create === false)
      throw new OperatorError(`There is no management database ${file}.`, {
        next: 'Run fossilrepo install first.',
      });
    makePrivateFile(file);
  }
  const database = new DatabaseSync(file, { timeout: 5_000, enableForeignKeyConstraints: true });
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    migrate(database, file);
  } catch (error) {
    database.close();
    throw error;
  }
  const statements = new Map<string, StatementSync>();
  const close = () => {
    if (database.isOpen) database.close();
  };
  return {
    database,
    statement: (sql) => {
      const known = statements.get(sql);
      if (known) return known;
      const made = database.prepare(sql);
      statements.set(sql, made);
      return made;
    },
    close,
    [Symbol.dispose]: close,
  };
}

/** SQLite gives `-wal` and `-shm` the mode and owner of the main file, so that only the main file needs care. */
function makePrivateFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  closeSync(openSync(file, 'a', 0o600));
  if (!isRoot()) return;
  const { uid, gid } = statSync(dirname(file));
  chownSync(file, uid, gid);
}

function migrate(database: DatabaseSync, file: string): void {
  const version = () => Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version() === migrations.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Read again: another process may have migrated while this one waited.
    const from = version();
    if (from > migrations.length) throw new NewerDatabase(file, from);
    for (const sql of migrations.slice(from)) database.exec(sql);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Does `work` in one transaction that is taken back when it throws. Inside another one it is part of that. */
export function transaction<T>(store: Store, work: () => T): T {
  const { database } = store;
  // SQLite ends a transaction itself after some errors (a full disk), so this is asked again.
  const isOpen = () => database.isTransaction;
  if (isOpen()) return work();
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (isOpen()) database.exec('ROLLBACK');
    throw error;
  }
}

/** The first row of an answer, or undefined. */
export const first = (store: Store, sql: string, ...values: SQLInputValue[]): Row | undefined =>
  store.statement(sql).get(...values);

/** All rows of an answer. */
export const all = (store: Store, sql: string, ...values: SQLInputValue[]): Row[] =>
  store.statement(sql).all(...values);

/** Runs a statement that answers nothing. @returns how many rows it changed */
export const change = (store: Store, sql: string, ...values: SQLInputValue[]): number =>
  Number(store.statement(sql).run(...values).changes);

/** A value of the `setting` table, or undefined. */
export function getSetting(store: Store, key: string): string | undefined {
  const row = first(store, 'SELECT value FROM setting WHERE key = ?', key);
  return row === undefined ? undefined : String(row['value']);
}

export function setSetting(store: Store, key: string, value: string): void {
  change(
    store,
    'INSERT INTO setting(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}

/** Gives this installation its identity (a UUID) when it has none. Every replica lies under it. @returns the identity */
export function createInstance(store: Store): string {
  change(
    store,
    "INSERT INTO setting(key, value) VALUES ('instance', ?) ON CONFLICT(key) DO NOTHING",
    randomUUID(),
  );
  return instanceId(store);
}

/** Makes a file the management database. The log of a former one goes: SQLite would take it for this one's. */
export function putInPlace(file: string, { database }: Pick<Paths, 'database'>): void {
  for (const left of ['-wal', '-shm']) rmSync(`${database}${left}`, { force: true });
  moveDurably(file, database);
}

/** This installation's identity. @throws OperatorError when install has not made it yet */
export function instanceId(store: Store): string {
  const id = knownInstance(store);
  if (id === undefined)
    throw new OperatorError('This server has no identity yet.', { next: 'Run fossilrepo install.' });
  return id;
}

/** The same; undefined between the making of the database and that of the identity, when install was killed just there. */
export const knownInstance = (store: Store): string | undefined => getSetting(store, 'instance');

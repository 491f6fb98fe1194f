import { createHash } from 'node:crypto';
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { hasFossilTables } from '../file.ts';
import { asOperatorError, openRepository, UnreadableError } from '../open.ts';
import { isTransient } from './transient.ts';

export type Row = Record<string, SQLOutputValue>;

/** One state of a repository's file, read in one transaction: `using snapshot = openSnapshot(file)`. */
export type Snapshot = {
  file: string;
  /** Whether there is such a table (no view, no virtual table: those could run for ever), with such a column. */
  has: (table: string, column?: string) => boolean;
  /**
   * Integers come as bigint. Besides SQLite's functions there are `digest(…)`, the SHA-256 of some values, and `is_transient(name)`.
   * @throws OperatorError when the file is damaged, or its tables are not Fossil's
   */
  rows: (sql: string, ...values: SQLInputValue[]) => Generator<Row>;
  [Symbol.dispose]: () => void;
};

/**
 * Opens a file, which others may go on writing. Close it soon: while it is open the write-ahead log can't be emptied, and
 * where there is none, writers fail after 15 s.
 * @throws OperatorError when it isn't there, is no repository, or stays locked
 */
export function openSnapshot(file: string): Snapshot {
  const database = openRepository(file, { readOnly: true });
  const columns = new Map<string, ReadonlySet<string>>();
  try {
    database.function('digest', { varargs: true, directOnly: true, deterministic: true }, digest);
    database.function('is_transient', { directOnly: true, deterministic: true }, (name) =>
      isTransient(String(name)) ? 1 : 0,
    );
    database.exec('BEGIN');
    if (!hasFossilTables(database))
      throw new UnreadableError(file, `${file} is not a complete Fossil repository.`);
    const found = database
      .prepare(
        `SELECT lower(s.name) AS name, lower(c.name) AS col FROM sqlite_schema s, pragma_table_xinfo(s.name) c
         WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL%'`,
      )
      .all();
    for (const row of found) {
      const name = String(row['name']);
      columns.set(name, new Set([...(columns.get(name) ?? []), String(row['col'])]));
    }
  } catch (error) {
    database.close();
    throw asOperatorError(file, error);
  }
  return {
    file,
    has: (table, column) => {
      const present = columns.get(table);
      return present !== undefined && (column === undefined || present.has(column));
    },
    *rows(sql, ...values) {
      try {
        const statement = database.prepare(sql);
        // Node refuses to read integers above 2^53 as numbers; a file may hold any.
        statement.setReadBigInts(true);
        yield* statement.iterate(...values);
      } catch (error) {
        throw notFossils(file, error);
      }
    },
    [Symbol.dispose]: () => {
      database.close();
    },
  };
}

/**
 * What an operator can do about an error of SQLite's with a repository's file. Its plain error is one about the statement: a table or a column
 * is missing, or a value is none that Fossil would write.
 */
export function notFossils(file: string, error: unknown): unknown {
  if (error instanceof Error && 'errcode' in error && error.errcode === 1)
    return new UnreadableError(file, `${file} has other tables than Fossil makes: ${error.message}.`, {
      next: 'Look at it with: fossil rebuild, on a copy.',
      exit: 'check',
      cause: error,
    });
  return asOperatorError(file, error);
}

function digest(...values: SQLOutputValue[]): string {
  const hash = createHash('sha256');
  for (const value of values) {
    const bytes = value instanceof Uint8Array ? value : Buffer.from(String(value));
    hash.update(`${bytes.length} `).update(bytes);
  }
  return hash.digest('hex');
}

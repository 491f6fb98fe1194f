import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { type Difference, differenceOf } from '../contents/difference.ts';
import { lastReceipt } from '../contents/receipts.ts';
import { notFossils } from '../contents/snapshot.ts';
import { hasFossilTables } from '../file.ts';
import { openRepository, UnreadableError } from '../open.ts';
import { shunnedIn } from './fit.ts';

/** What lies in a repository's place before another state takes it. */
export type Present =
  /** `receipt`: its newest one when that was read; it stays open, so that later ones may come. */
  | { is: 'whole'; difference: Difference; receipt: number }
  /** It can't be read as a repository: it says nothing about what would be lost, nor about what is shunned. */
  | { is: 'damaged'; why: string }
  | { is: 'missing' };

/**
 * Reads all of a live file that a restore needs. What is shunned today stays so, and is no difference.
 * @param state the one that shall take its place
 * @throws OperatorError when the file is locked, or may not be read, or the state is damaged
 */
export function readPresent(live: string, state: string): Present {
  if (!existsSync(live)) return { is: 'missing' };
  try {
    checkTables(live);
    // First: what comes while the rest is read is told as later.
    const receipt = lastReceipt(live);
    const shunned = new Set(shunnedIn(live, state).map(({ hash }) => hash));
    return { is: 'whole', difference: differenceOf(live, state, { shunned, access: true }), receipt };
  } catch (error) {
    const known = notFossils(live, error);
    // Damage of the other one says nothing about this one.
    if (!(known instanceof UnreadableError) || known.file !== live) throw known;
    return { is: 'damaged', why: known.message };
  }
}

/** Whether there is a file that can be read as a repository. @throws OperatorError when it is locked, or may not be read */
export function isWhole(live: string): boolean {
  if (!existsSync(live)) return false;
  try {
    checkTables(live);
    return true;
  } catch (error) {
    const known = notFossils(live, error);
    if (known instanceof UnreadableError) return false;
    throw known;
  }
}

/** Reads each table and its indexes to the end: what is compared is not all that Fossil and Litestream work with. */
function checkTables(file: string): void {
  const database = openRepository(file, { readOnly: true });
  try {
    if (!hasFossilTables(database))
      throw new UnreadableError(file, `${file} is not a complete Fossil repository.`);
    for (const table of tablesOf(database)) {
      const problem = database
        .prepare(`PRAGMA quick_check("${table}")`)
        .all()
        .map((row) => String(Object.values(row)[0]))
        .find((line) => !isNoDamage(line));
      if (problem !== undefined) throw new UnreadableError(file, `${file} is damaged: ${table}: ${problem}.`);
    }
  } finally {
    database.close();
  }
}

/** A row that another program wrote against its table's rules can be read all the same. */
const isNoDamage = (line: string): boolean =>
  line === 'ok' || /^(NULL value|CHECK constraint failed) in/.test(line);

/** Without virtual tables, such as a search index: to check those needs functions of Fossil's own. */
const tablesOf = (database: DatabaseSync): string[] =>
  database
    .prepare(
      `SELECT replace(name, '"', '""') AS name FROM sqlite_schema
       WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite~_%' ESCAPE '~'`,
    )
    .all()
    .map((row) => String(row['name']));

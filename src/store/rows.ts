import type { SQLOutputValue } from 'node:sqlite';

/** A row as SQLite answers it. */
export type Row = Record<string, SQLOutputValue>;

/** A text column. @throws Error when the column holds something else: then the query or the schema is wrong */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw unexpected(column, value);
  return value;
}

/** An integer column. */
export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw unexpected(column, value);
  return value;
}

/** An integer column that may be NULL. */
export const integerOrNull = (row: Row, column: string): number | null =>
  row[column] === null ? null : integer(row, column);

/** A text column that may be NULL. */
export const textOrNull = (row: Row, column: string): string | null =>
  row[column] === null ? null : text(row, column);

/** A column that holds 0 or 1. */
export const flag = (row: Row, column: string): boolean => integer(row, column) === 1;

/** A text column that holds one of a few words. */
export function oneOf<const T extends string>(row: Row, column: string, words: readonly T[]): T {
  const value = text(row, column);
  const word = words.find((known) => known === value);
  if (word === undefined) throw unexpected(column, value);
  return word;
}

/** The same, where it may be NULL. */
export const oneOfOrNull = <const T extends string>(
  row: Row,
  column: string,
  words: readonly T[],
): T | null => (row[column] === null ? null : oneOf(row, column, words));

const unexpected = (column: string, value: unknown): Error =>
  new Error(
    `The column ${column} holds ${value === undefined ? 'nothing' : `a ${typeof value}`} that was not expected.`,
  );

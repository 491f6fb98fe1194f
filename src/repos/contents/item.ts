import type { Row } from './snapshot.ts';

/** One thing in a repository, as it is shown: every text is cut and free of control characters. */
export type Item = {
  /** A whole hash, or a name. */
  id: string;
  /** The first line of a comment, a ticket's or a thread's title. */
  title?: string;
  /** A login, as its author wrote it. */
  who?: string;
  /** ISO 8601, UTC, whole seconds. */
  at?: string;
  /** What is different in the other state: `3 → 2 changes`. */
  change?: string;
};

/** The columns that a kind's listing has, besides `id` and `mark`: what is shown. */
export function itemOf(row: Row): Item {
  const title = firstLine(asText(row['title']));
  const who = printable(asText(row['who']), 60);
  const at = timeOf(row['at']);
  return {
    id: printable(asText(row['id']), 200),
    ...(title === '' ? {} : { title }),
    ...(who === '' ? {} : { who }),
    ...(at === undefined ? {} : { at }),
  };
}

/** What a value of SQLite's is as text; what is not UTF-8 becomes U+FFFD. */
export function asText(value: Row[string] | undefined): string {
  if (value === null || value === undefined) return '';
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}

/** One line of at most `limit` characters; whatever moves a cursor or turns the direction of writing becomes a blank. */
export function printable(text: string, limit: number): string {
  // The cut before is for texts of a megabyte; a character may take two units.
  const plain = text
    .slice(0, limit * 8)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Z}]+/gu, ' ')
    .trim();
  const characters = Array.from(plain);
  return characters.length > limit ? `${characters.slice(0, limit - 1).join('')}…` : plain;
}

const firstLine = (text: string): string => printable(text.trimStart().split(/[\r\n]/, 1)[0] ?? '', 120);

/** Fossil's times are Julian days. */
function timeOf(value: Row[string] | undefined): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const time = new Date(Math.round((Number(value) - 2_440_587.5) * 86_400) * 1000);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString().replace('.000Z', 'Z');
}

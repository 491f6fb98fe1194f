import { headerBytes, type HistoryFile, newestTxid } from '../history.ts';
import { type HistoryPlace, hexTxid, levelKey, levels } from '../location.ts';
import { newestOf, oldestOf } from './times.ts';

/** Transactions that should be in the replica and are not. */
export type Gap = {
  level: number;
  /** The first and the last one. */
  from: number;
  to: number;
  /** The object that should hold the first, or begin with it. */
  object: string;
  /** Whether other objects hold them all: then only moments between are missing. */
  held: boolean;
  /** When the last state before it was written; null when nothing leads up to it. */
  before: Date | null;
  /** When the first snapshot after it was written: from then on restores don't need it. Null while there is none. */
  after: Date | null;
};

type Range = { from: number; to: number };

/** Litestream keeps each of these without holes; snapshots stand alone. */
const chained = levels.slice(0, -1);

/**
 * What is missing in a database's history: holes in a level, between levels, and at the end. An object that is too short to be one counts
 * as missing. What lies before the oldest whole state can't be restored, and doesn't count.
 * @param files `listHistory` @param known the newest transaction that was ever seen in the replica
 */
export function gapsOf(place: HistoryPlace, files: readonly HistoryFile[], known: number): Gap[] {
  const whole = files.filter(({ bytes }) => bytes >= headerBytes);
  const start = smallest(whole.filter(({ min }) => min === 1).map(({ max }) => max)) ?? 0;
  const end = Math.max(known, newestTxid(files));
  const chain = whole.filter(({ level }) => chained.some((one) => one === level));
  const open = holes(chain, start, end);
  const found = chained.flatMap((level) => {
    const own = chain.filter((file) => file.level === level);
    const first = smallest(own.map(({ min }) => min));
    const last = newestTxid(files.filter((file) => file.level === level));
    return first === undefined
      ? []
      : holes(own, Math.max(start, first - 1), last).map((range) => ({ level, ...range }));
  });
  const other = open
    .filter((range) => !found.some((known) => overlap(known, range)))
    .map((range) => ({ level: 0, ...range }));
  return [...found, ...other].map(({ level, from, to }) => ({
    level,
    from,
    to,
    object: nameOf(place, files, level, from),
    held: !open.some((range) => overlap(range, { from, to })),
    before: newestOf(whole.filter(({ max }) => max < from)),
    after: oldestOf(whole.filter((file) => file.level === levels.at(-1) && file.max >= to)),
  }));
}

const smallest = (numbers: readonly number[]): number | undefined =>
  numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.min(a, b));

/** What of `after + 1` to `end` none of the files holds. */
function holes(files: readonly HistoryFile[], after: number, end: number): Range[] {
  const found: Range[] = [];
  let reached = after;
  for (const { min, max } of [...files].sort((a, b) => a.min - b.min)) {
    if (min > reached + 1) found.push({ from: reached + 1, to: Math.min(min - 1, end) });
    reached = Math.max(reached, max);
  }
  return reached < end ? [...found, { from: reached + 1, to: end }] : found;
}

const overlap = (one: Range, other: Range): boolean => one.from <= other.to && other.from <= one.to;

function nameOf(place: HistoryPlace, files: readonly HistoryFile[], level: number, txid: number): string {
  const short = files.find(
    (file) => file.level === level && file.bytes < headerBytes && file.min <= txid && txid <= file.max,
  );
  const first = hexTxid(txid);
  return short?.key ?? `${levelKey(place, level)}${first}-${level === 0 ? first : '…'}.ltx`;
}

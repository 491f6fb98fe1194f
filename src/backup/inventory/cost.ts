import type { HistoryFile } from '../history.ts';
import { oldestOf } from './times.ts';
import type { Prices } from './prices.ts';

/** What one database's replica asks of its storage in a month of 30 days, and what that costs in US dollars. */
export type Cost = {
  bytes: number;
  puts: number;
  lists: number;
  dollars: { storage: number; puts: number; lists: number; all: number };
  /** What the puts were counted over. Days. */
  days: number;
};

const day = 24 * 3_600_000;
const month = 30 * day;
/** What a LIST answers at most. */
const page = 1_000;

/**
 * LIST requests of Litestream 0.5.17 besides one for each database and step: for each merging (compactor.go, EnforceL0RetentionByTime in
 * db.go) what is merged, what came of it, and two for what may go; and a day for snapshots and what may go.
 */
const lists = { merging: 4, daily: 4 } as const;

/**
 * An estimate from the objects that are there. Deleting costs nothing, and reading is left out: nobody reads but restores and verifications.
 * @param replica.exact @param replica.step as in the configuration, milliseconds
 * @param others PUT requests in a month that leave no object of their own: they replace one
 */
export function costOf(
  files: readonly HistoryFile[],
  replica: { exact: number; step: number },
  prices: Prices,
  now: number,
  others = 0,
): Cost {
  const age = now - (oldestOf(files)?.getTime() ?? now);
  // A young one counts as a day old: its first minutes are not what follows. Single transactions are gone after `exact`.
  const span = Math.min(7 * day, replica.exact, Math.max(day, age));
  const lately = files.filter(({ modified }) => now - modified.getTime() <= span);
  const inMonth = (count: number): number => Math.round((count * month) / span);
  const pages = Math.max(1, Math.ceil(files.filter(({ level }) => level === 0).length / page));
  const merged = lately.filter(({ level }) => level === 1 || level === 2).length;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const puts = inMonth(lately.length) + others;
  const listed = Math.round(
    pages * (month / replica.step + lists.merging * inMonth(merged)) + (lists.daily * month) / day,
  );
  const dollars = {
    storage: (bytes / 1e9) * prices.gb,
    puts: (puts / 1_000) * prices.put,
    lists: (listed / 1_000) * prices.list,
  };
  const all = dollars.storage + dollars.puts + dollars.lists;
  return { bytes, puts, lists: listed, dollars: { ...dollars, all }, days: span / day };
}

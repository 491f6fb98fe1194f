import prettyMilliseconds from 'pretty-ms';
import { table } from '../../src/system/table.ts';

/** One thing that was measured, beside what one would do instead in the same run. */
export type Row = {
  name: string;
  ours: string;
  /** What it is beside, and its value; empty where there is nothing to compare with. */
  instead: string;
  goal: string;
  /** Null: there is no goal, or it was not measured. */
  met: boolean | null;
};

/** What an item is told. `quick`: small counts, to see that it works. */
export type Bench = { quick: boolean; say: (text: string) => void };

/** A duration as the table shows it. @param value milliseconds */
export const time = (value: number): string =>
  value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : prettyMilliseconds(value);

/** The two numbers that a series is told by. @param values milliseconds */
export const series = (values: readonly number[]): string =>
  `${time(percentile(values, 50))} / ${time(percentile(values, 99))}`;

/** The nearest-rank percentile. @throws Error when there are no values */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const found = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (found === undefined) throw new Error('nothing was measured');
  return found;
}

/** A row for something that was not measured. */
export const leftOut = (name: string, goal: string, why: string): Row => ({
  name,
  ours: why,
  instead: '',
  goal,
  met: null,
});

export function showRows(rows: readonly Row[]): string {
  const verdict = (met: boolean | null) => (met === null ? '-' : met ? 'yes' : 'NO');
  return table(
    ['WHAT', 'OURS', 'INSTEAD', 'GOAL', 'MET'],
    rows.map((row) => [row.name, row.ours, row.instead, row.goal, verdict(row.met)]),
  );
}

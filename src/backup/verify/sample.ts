import { createHash } from 'node:crypto';

const day = 24 * 3_600_000;

/** A week and a day without a verification is overdue. Milliseconds. */
const overdueAfter = 8 * day;

type When = ReadonlyMap<string, number | undefined>;

/**
 * The ones that were not tried for the longest time, those never tried first; and all that failed last time, whether it was long ago or not.
 * @param attempts when each was last tried, in milliseconds since 1970
 * @param failed those whose last answer was that something is wrong
 */
export function sampleOf(
  ids: readonly string[],
  count: number,
  attempts: When,
  failed: ReadonlySet<string>,
): string[] {
  const oldest = [...ids].sort((one, other) => (attempts.get(one) ?? 0) - (attempts.get(other) ?? 0));
  const chosen = new Set(oldest.slice(0, count));
  return oldest.filter((id) => chosen.has(id) || failed.has(id));
}

/**
 * How many a day, so that each comes about once a week; after many new ones, or a long time switched off, as many as are overdue.
 * @param answered when each last came to an answer, in milliseconds since 1970
 */
export function dailyCount(ids: readonly string[], answered: When, now: number): number {
  const overdue = ids.filter((id) => now - (answered.get(id) ?? 0) > overdueAfter).length;
  return Math.max(3, Math.ceil(ids.length / 7), overdue);
}

/** The minute of the day (UTC) at which an instance begins: not all servers at once. */
export const minuteOf = (instance: string): number =>
  createHash('sha256').update(`verify ${instance}`).digest().readUInt32BE(0) % 1440;

/** Whether a day's round has to begin: its minute has come since the last one. Milliseconds since 1970. */
export function isDue(instance: string, last: number, now: number): boolean {
  const today = Math.floor(now / day) * day + minuteOf(instance) * 60_000;
  return last < (today <= now ? today : today - day);
}

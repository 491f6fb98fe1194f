import { z } from 'zod';

// What docs/reliability.md is made from: a row for each fault, each with the run in which it was made. It is kept in record.json.

/** When and on what faults were tried. */
const runSchema = z.strictObject({
  day: z.iso.date(),
  seed: z.string(),
  /** One line: programs with their versions, the machine. */
  about: z.string(),
  /** What else has to be known of it. */
  note: z.string().optional(),
});
export type Run = z.output<typeof runSchema>;

const count = z.int().nonnegative();
const rowSchema = z.strictObject({
  fault: z.string(),
  tries: count,
  /** What happened, with how often each. */
  happened: z.record(z.string(), count),
  /** From when the cause was gone until all was green, the fastest and the slowest. Milliseconds. */
  green: z.tuple([z.number(), z.number()]).nullable(),
  /** Check-ins that were acknowledged in all tries together. */
  acknowledged: count,
  /** Those of them that were missing afterwards, here or in a restore. */
  lost: count,
  /** States that were restored and read to the end. */
  restored: count,
  /** What `backup status` said meanwhile and was held against the replica. */
  claims: count,
  /** The first assertion that did not hold, when one did not. */
  failed: z.string().nullable(),
});
/** What became of a fault in one run. */
export type Row = z.output<typeof rowSchema>;

const recordedSchema = rowSchema.extend({ runs: z.array(runSchema).min(1) });
/** A row with the run that made it, or with several whose tries were added up. */
export type Recorded = z.output<typeof recordedSchema>;

export const recordSchema = z.array(recordedSchema);

/** What a file of faults leaves behind: all that are in it, and the rows of those that were tried. */
export const resultsSchema = z.strictObject({
  day: runSchema.shape.day,
  seed: runSchema.shape.seed,
  faults: z.array(z.string()),
  rows: z.array(rowSchema),
});
export type Results = z.output<typeof resultsSchema>;

/**
 * The record after a run. Faults that it did not try keep their rows, and those that are not in the suite any more lose theirs. A row of
 * more tries is not replaced by one of fewer, unless that one failed.
 * @param suite every fault that there is @param add counts the tries to those that are recorded instead
 */
export function recordRun(
  known: readonly Recorded[],
  suite: readonly string[],
  tried: readonly Recorded[],
  { add }: { add: boolean },
): Recorded[] {
  const names = new Set([...known.map(({ fault }) => fault), ...suite]);
  return [...names]
    .filter((name) => suite.includes(name))
    .flatMap((name) => {
      const before = known.find(({ fault }) => fault === name);
      const now = tried.find(({ fault }) => fault === name);
      if (before === undefined || now === undefined) return now ?? before ?? [];
      if (add) return added(before, now);
      return now.failed !== null || now.tries >= before.tries ? now : before;
    });
}

function added(one: Recorded, other: Recorded): Recorded {
  const happened = { ...one.happened };
  for (const [what, times] of Object.entries(other.happened)) happened[what] = (happened[what] ?? 0) + times;
  const greens = [one.green, other.green].flatMap((green) => green ?? []);
  return {
    fault: one.fault,
    tries: one.tries + other.tries,
    happened,
    green: greens.length > 0 ? [Math.min(...greens), Math.max(...greens)] : null,
    acknowledged: one.acknowledged + other.acknowledged,
    lost: one.lost + other.lost,
    restored: one.restored + other.restored,
    claims: one.claims + other.claims,
    failed: one.failed ?? other.failed,
    runs: [...one.runs, ...other.runs],
  };
}

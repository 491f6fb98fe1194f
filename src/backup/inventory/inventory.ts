import { headerBytes, type HistoryFile, newestTxid } from '../history.ts';
import { levels, snapshotLevel } from '../location.ts';
import { newestOf, oldestOf } from './times.ts';

/** What the replica holds of a database on one level. Sizes in bytes. */
export type LevelHeld = {
  level: number;
  objects: number;
  bytes: number;
  /** By the storage's own times; null when there are none. */
  oldest: Date | null;
  newest: Date | null;
};

/** A whole state in one object. */
export type SnapshotHeld = { at: Date; txid: number; bytes: number; object: string };

/** From when to when moments lie how far apart. `step` is milliseconds; 1,000 is every second. */
export type Granularity = { from: Date; to: Date; step: number };

export type Inventory = {
  window: { from: Date | null; to: Date | null };
  granularity: Granularity[];
  newest: { txid: number; at: Date | null };
  snapshots: SnapshotHeld[];
  levels: LevelHeld[];
};

/**
 * What a history holds, by its objects' names, sizes and times.
 * @param files `listHistory` @param replica.exact @param replica.step as in the configuration, milliseconds
 */
export function inventoryOf(
  files: readonly HistoryFile[],
  replica: { exact: number; step: number },
  now: number,
): Inventory {
  const whole = files.filter(({ min, bytes }) => min === 1 && bytes >= headerBytes);
  const from = oldestOf(whole);
  const to = from && newestOf(files);
  const txid = newestTxid(files);
  return {
    window: { from, to },
    granularity: from === null ? [] : granularity(from.getTime(), replica, now),
    newest: {
      txid,
      at: oldestOf(files.filter(({ max }) => max === txid)),
    },
    snapshots: files
      .filter(({ level, bytes }) => level === snapshotLevel && bytes >= headerBytes)
      .map(({ modified, max, bytes, key }) => ({ at: modified, txid: max, bytes, object: key })),
    levels: levels.map((level) => {
      const own = files.filter((file) => file.level === level);
      return {
        level,
        objects: own.length,
        bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
        oldest: oldestOf(own),
        newest: newestOf(own),
      };
    }),
  };
}

/** The older first. For a database that rests every later instant gives its last state, so it goes on until now. */
function granularity(
  from: number,
  { exact, step }: { exact: number; step: number },
  now: number,
): Granularity[] {
  const since = Math.max(from, now - exact);
  const fine = { from: new Date(since), to: new Date(now), step: 1_000 };
  return since > from ? [{ from: new Date(from), to: new Date(since), step }, fine] : [fine];
}

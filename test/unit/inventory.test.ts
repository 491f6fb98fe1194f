import { describe, expect, test } from 'vitest';
import type { HistoryFile } from '../../src/backup/history.ts';
import { costOf } from '../../src/backup/inventory/cost.ts';
import { gapsOf } from '../../src/backup/inventory/gaps.ts';
import { inventoryOf } from '../../src/backup/inventory/inventory.ts';
import { amazon } from '../../src/backup/inventory/prices.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const day = 24 * 3_600_000;
const replica = { exact: 7 * day, step: 5 * 60_000 };
const where = { kind: 'directory', key: 'i/repos/a' } as const;
const hex = (txid: number) => txid.toString(16).padStart(16, '0');
const name = (level: number, min: number, max: number) =>
  `i/repos/a/ltx/${level}/${hex(min)}-${hex(max)}.ltx`;

/** An object of 1 kB, by default written as many minutes before noon as it lies before transaction 100. */
const file = (level: number, min: number, max: number, more: Partial<HistoryFile> = {}): HistoryFile => ({
  level,
  min,
  max,
  key: name(level, min, max),
  bytes: 1_000,
  modified: new Date(now - (100 - max) * 60_000),
  ...more,
});
const singles = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => file(0, from + index, from + index));
const at = (txid: number) => new Date(now - (100 - txid) * 60_000);

describe('gapsOf', () => {
  test('finds none where each follows the one before, on each level', () => {
    expect(gapsOf(where, singles(1, 9), 9)).toEqual([]);
    // The first single ones are gone: they are merged, and a snapshot is there.
    const usual = [...singles(6, 12), file(1, 1, 4), file(1, 5, 10), file(2, 1, 10), file(9, 1, 3)];
    expect(gapsOf(where, usual, 12)).toEqual([]);
    expect(gapsOf(where, [], 0)).toEqual([]);
  });

  test('names a missing transaction, until when and from when on states are whole', () => {
    const files = [...singles(1, 4), ...singles(6, 9)];
    const gap = { level: 0, from: 5, to: 5, object: name(0, 5, 5), held: false, before: at(4), after: null };
    expect(gapsOf(where, files, 9)).toEqual([gap]);
    expect(gapsOf(where, [...files, file(9, 1, 8)], 9)).toEqual([{ ...gap, after: at(8) }]);
    // What a snapshot before it holds is no help.
    expect(gapsOf(where, [...files, file(9, 1, 4)], 9)).toEqual([gap]);
  });

  test('says when another level holds the same', () => {
    const files = [...singles(1, 4), ...singles(7, 9), file(1, 1, 8)];
    expect(gapsOf(where, files, 9)).toMatchObject([{ level: 0, from: 5, to: 6, held: true }]);
  });

  test('sees a missing merged object, and a hole between the levels', () => {
    const merged = [file(9, 1, 2), file(1, 1, 4), file(1, 9, 12), ...singles(11, 14)];
    expect(gapsOf(where, merged, 14)).toMatchObject([
      { level: 1, from: 5, to: 8, object: `i/repos/a/ltx/1/${hex(5)}-….ltx`, held: false },
    ]);
    const between = [file(9, 1, 2), file(1, 1, 8), ...singles(11, 14)];
    expect(gapsOf(where, between, 14)).toMatchObject([{ level: 0, from: 9, to: 10, object: name(0, 9, 9) }]);
  });

  test('sees a missing end by the high-water mark', () => {
    expect(gapsOf(where, singles(1, 7), 9)).toEqual([
      { level: 0, from: 8, to: 9, object: name(0, 8, 8), held: false, before: at(7), after: null },
    ]);
    expect(gapsOf(where, [], 3)).toMatchObject([{ from: 1, to: 3, before: null, after: null }]);
  });

  test('an object that is cut off is missing, by its own name', () => {
    const files = [...singles(1, 9), file(1, 1, 4), file(1, 5, 9, { bytes: 99 })].filter(
      ({ level, min }) => level !== 0 || min !== 3,
    );
    const cut = files.map((one) => (one.level === 0 && one.min === 6 ? { ...one, bytes: 0 } : one));
    expect(gapsOf(where, cut, 9)).toMatchObject([
      { level: 0, from: 3, to: 3, held: true },
      { level: 0, from: 6, to: 6, object: name(0, 6, 6), held: false },
      { level: 1, from: 5, to: 9, object: name(1, 5, 9), held: false },
    ]);
  });

  test('what lies before the oldest whole state does not count', () => {
    const files = [file(9, 1, 8), ...singles(2, 3), ...singles(6, 12)];
    expect(gapsOf(where, files, 12)).toEqual([]);
  });
});

describe('inventoryOf', () => {
  test('counts each level, and says from when, how finely, and where snapshots are', () => {
    const old = { modified: new Date(now - 20 * day) };
    const files = [...singles(5, 9), file(1, 1, 4, old), file(9, 1, 2, old), file(9, 1, 8)];
    const { window, granularity, newest, snapshots, levels } = inventoryOf(files, replica, now);
    expect(window).toEqual({ from: old.modified, to: at(9) });
    expect(granularity).toEqual([
      { from: old.modified, to: new Date(now - 7 * day), step: 300_000 },
      { from: new Date(now - 7 * day), to: new Date(now), step: 1_000 },
    ]);
    expect(newest).toEqual({ txid: 9, at: at(9) });
    expect(snapshots.map(({ txid }) => txid)).toEqual([2, 8]);
    expect(levels.map(({ level, objects, bytes }) => [level, objects, bytes])).toEqual([
      [0, 5, 5_000],
      [1, 1, 1_000],
      [2, 0, 0],
      [9, 2, 2_000],
    ]);
    expect(levels[0]).toMatchObject({ oldest: at(5), newest: at(9) });
  });

  test('of a young one any second, of an empty or unusable one nothing', () => {
    expect(inventoryOf(singles(1, 3), replica, now).granularity).toEqual([
      { from: at(1), to: new Date(now), step: 1_000 },
    ]);
    expect(inventoryOf([], replica, now)).toMatchObject({
      window: { from: null, to: null },
      granularity: [],
      newest: { txid: 0, at: null },
    });
    expect(inventoryOf([file(0, 1, 1, { bytes: 0 })], replica, now).window.from).toBeNull();
  });
});

describe('costOf', () => {
  const weekly = Array.from({ length: 700 }, (_, index) =>
    file(0, index + 1, index + 1, { bytes: 10e6, modified: new Date(now - index * 864_000) }),
  );

  test('takes the last seven days for every seven', () => {
    const ancient = file(9, 1, 1, { bytes: 3e9, modified: new Date(now - 25 * day) });
    const cost = costOf([...weekly, ancient], replica, amazon, now);
    expect(cost).toMatchObject({ bytes: 10e9, puts: 3_000, days: 7 });
    // One LIST for each of 8640 steps, and the daily ones.
    expect(cost.lists).toBe(8_640 + 120);
    expect(cost.dollars.storage).toBeCloseTo(0.23);
    expect(cost.dollars.puts).toBeCloseTo(0.015);
    expect(cost.dollars.lists).toBeCloseTo(0.0438);
    expect(cost.dollars.all).toBeCloseTo(0.2888);
  });

  test('a young one counts as a day old; long lists take several requests; merging asks, too', () => {
    expect(costOf(singles(91, 100), replica, amazon, now)).toMatchObject({ days: 1, puts: 300 });
    const many = [...weekly, ...weekly, file(1, 1, 99)];
    // Two pages; 1401 objects in 7 days; one merging in them.
    expect(costOf(many, replica, amazon, now).lists).toBe(2 * (8_640 + 4 * 4) + 120);
    expect(costOf([], { ...replica, step: 900_000 }, amazon, now, 60)).toMatchObject({
      bytes: 0,
      puts: 60,
      lists: 2_880 + 120,
    });
  });

  test('single transactions that are gone after a shorter time are not missed', () => {
    const cost = costOf(weekly, { ...replica, exact: 3.5 * day }, amazon, now);
    expect(cost.days).toBe(3.5);
    expect(Math.abs(cost.puts - 3_000)).toBeLessThan(20);
  });
});

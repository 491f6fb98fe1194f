import { describe, expect, test } from 'vitest';
import { endedFirst } from '../faults/fault.ts';
import { luckOf } from '../faults/luck.ts';
import { type Recorded, recordRun } from '../faults/record.ts';
import { renderPage } from '../faults/table.ts';

describe('luck', () => {
  const some = (seed: string) => {
    const luck = luckOf(seed);
    return Array.from({ length: 20 }, () => luck.between(0, 1_000));
  };

  test('is the same with the same seed, and another with another', () => {
    expect(some('7 Caddy killed 1')).toEqual(some('7 Caddy killed 1'));
    expect(some('7 Caddy killed 1')).not.toEqual(some('7 Caddy killed 2'));
  });

  test('reaches both ends, and nothing beyond', () => {
    const luck = luckOf('ends');
    const seen = new Set(Array.from({ length: 200 }, () => luck.between(3, 5)));
    expect([...seen].sort()).toEqual([3, 4, 5]);
    expect(() => luck.pick([])).toThrow('nothing to choose from');
  });
});

const first = { day: '2026-11-21', seed: '7', about: 'Fossil 2.21' };
const second = { day: '2026-11-22', seed: '8', about: 'Fossil 2.21' };
const row: Recorded = {
  fault: 'Caddy killed',
  tries: 3,
  happened: { 'it was over': 1, 'it was said': 2 },
  green: [1_250, 61_000],
  acknowledged: 90,
  lost: 0,
  restored: 27,
  claims: 12,
  failed: null,
  runs: [first],
};

describe('the page of what was tried', () => {
  const tableOf = (...rows: Recorded[]) => renderPage('{table}', rows);

  test('counts what happened, and says what failed', () => {
    expect(tableOf(row)).toContain(
      '| Caddy killed | 3 | 2 × it was said; 1 × it was over; green 1.2s to 1m 1s later | 0 of 90 | 1 |',
    );
    expect(tableOf({ ...row, failed: 'a | b\nmore', lost: 1 })).toContain(
      '**Failed once: a \\| b** | 1 of 90 |',
    );
  });

  test('says how often a command was really killed', () => {
    const happened = { [`${endedFirst}; run again: done`]: 2, 'killed; run again: done': 1 };
    expect(tableOf({ ...row, happened })).toContain('| Caddy killed | 3, killed in time: 1 |');
  });

  test('names the run of each row, the first one first, and has the sums', () => {
    const rows = [
      { ...row, lost: 2, runs: [second] },
      { ...row, fault: 'Fossil killed', runs: [first, second] },
    ];
    const text = renderPage('# Title\n\n{sums}\n\n{runs}\n\n{table}\n', rows);
    expect(text).toContain('1. 2026-11-21, seed 7; Fossil 2.21.\n2. 2026-11-22, seed 8; Fossil 2.21.\n');
    expect(text).toContain('| 2 of 90 | 2 |');
    expect(text).toContain('| 0 of 90 | 1, 2 |');
    expect(text).toContain('6 tries, 180 acknowledged check-ins');
    expect(text).toContain('lost: 2.');
    expect(text).not.toMatch(/\{\w+\}/);
  });
});

describe('a run', () => {
  const other = { ...row, fault: 'Fossil killed' };
  const suite = ['Caddy killed', 'Fossil killed', 'two killed'];
  const later = (more: Partial<Recorded>): Recorded => ({ ...row, runs: [second], ...more });

  test('replaces the rows of what it tried, adds new ones, and takes out what is no fault any more', () => {
    const now = later({ tries: 4 });
    const fresh = later({ fault: 'two killed' });
    const gone = { ...row, fault: 'a former one' };
    expect(recordRun([gone, other, row], suite, [now, fresh], { add: false })).toEqual([other, now, fresh]);
  });

  test('of fewer tries leaves a row of more as it is, unless it failed', () => {
    expect(recordRun([row], suite, [later({ tries: 2 })], { add: false })).toEqual([row]);
    const failed = later({ tries: 0, failed: 'lost' });
    expect(recordRun([row], suite, [failed], { add: false })).toEqual([failed]);
  });

  test('adds its tries when asked to', () => {
    const now = later({
      tries: 2,
      happened: { 'it was said': 2 },
      green: [500, 2_000],
      lost: 1,
      failed: 'lost',
    });
    expect(recordRun([row, other], suite, [now], { add: true })).toEqual([
      {
        ...row,
        tries: 5,
        happened: { 'it was over': 1, 'it was said': 4 },
        green: [500, 61_000],
        acknowledged: 180,
        lost: 1,
        restored: 54,
        claims: 24,
        failed: 'lost',
        runs: [first, second],
      },
      other,
    ]);
  });
});

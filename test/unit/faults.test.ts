import { describe, expect, test } from 'vitest';
import type { Row } from '../faults/fault.ts';
import { luckOf } from '../faults/luck.ts';
import { renderPage, renderTable } from '../faults/table.ts';

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

describe('the table of what was tried', () => {
  const row: Row = {
    fault: 'Caddy killed',
    tries: 3,
    happened: { 'it was over': 1, 'it was said': 2 },
    green: [1_250, 61_000],
    acknowledged: 90,
    lost: 0,
    restored: 27,
    claims: 12,
    failed: null,
  };

  test('counts what happened, and says what failed', () => {
    expect(renderTable([row])).toContain(
      '| Caddy killed | 3 | 2 × it was said; 1 × it was over; green 1.2s to 1m 1s later | 0 of 90 |',
    );
    expect(renderTable([{ ...row, failed: 'a | b\nmore', lost: 1 }])).toContain(
      '**Failed once: a \\| b** | 1 of 90 |',
    );
  });

  test('stands in its page, with the sums', () => {
    const run = { about: 'Fossil', day: '2026-11-21', seed: '7', tries: 3, took: 60_000 };
    const page = renderPage('# Title\n\n{run}\n\n{table}\n', run, [row, { ...row, lost: 2 }]);
    expect(page).toContain('seed 7');
    expect(page).toContain('6 tries, 180 acknowledged check-ins');
    expect(page).toContain('lost: 2.');
    expect(page).not.toMatch(/\{\w+\}/);
  });
});

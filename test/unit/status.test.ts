import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { describeStatus, type Seen } from '../../src/health/describe.ts';
import type { Finding } from '../../src/health/finding.ts';
import { verdictOf } from '../../src/health/verdict.ts';

const finding = (level: Finding['level'], number: number): Finding => ({
  level,
  about: 'edge',
  what: `Wrong ${level} ${number}.`,
  next: `Do ${number}.`,
});
const event = (text: string) => ({
  id: 1,
  at: Date.parse('2026-11-21T12:00:00Z'),
  repository: null,
  kind: 'mended',
  text,
});

/** A server of which as much is to be said as can be. */
const seen = (findings: Finding[], text = 'short'): Seen => ({
  url: 'https://forge.example.com',
  replica: 's3://forge/one',
  health: {
    ok: false,
    level: 'red',
    findings,
    repositories: [],
    verified: { databases: 0, inLastWeek: 0, last: null },
    canary: null,
    lookedAt: null,
  },
  mirrors: { mirrors: 3, current: 2, failing: 1, failures: [] },
  events: Array.from({ length: 5 }, () => event(text)),
});
const many = [...Array.from({ length: 12 }, (_, number) => finding('yellow', number)), finding('red', 12)];
const linesOf = (one: Seen, columns: number, rows: number) =>
  stripVTControlCharacters(describeStatus(one, { columns, rows })).split('\n');

test('at its longest the status fits one screen, what is red first, and says how to see the rest', () => {
  for (const [columns, rows] of [
    [80, 24],
    [80, 40],
    [132, 50],
  ] as const) {
    const lines = linesOf(seen(many, 'x'.repeat(500)), columns, rows);
    const height = lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    expect(height).toBeLessThan(rows);
    expect(lines[1]).toBe('  - Wrong red 12.');
    const shown = lines.filter((line) => line.startsWith('  - ')).length;
    if (shown < many.length)
      expect(lines).toContain(`  and ${many.length - shown} more: fossilrepo status --json`);
    expect(lines.filter((line) => /^ {2}2026-.*x…$/.test(line))).toHaveLength(5);
  }
});

test('a finding is never cut, and one is shown however small the screen is', () => {
  const long = { ...finding('red', 1), what: 'w'.repeat(300), next: 'n'.repeat(300) };
  const lines = linesOf(seen([long, finding('red', 2)]), 40, 10);
  expect(lines).toContain(`  - ${long.what}`);
  expect(lines).toContain(`    ${long.next}`);
  expect(lines).toContain('  and 1 more: fossilrepo status --json');
});

test('what fits is shown whole, and so are events that go to no screen', () => {
  expect(linesOf(seen(many.slice(0, 2)), 80, 24).join('\n')).not.toContain('more:');
  const text = describeStatus(seen(many, 'x'.repeat(500)));
  expect(text).toContain('x'.repeat(500));
  expect(text).toContain('and 1 more: fossilrepo status --json');
});

test('that every commit is in the replica is said only when each was seen there', () => {
  const whole = { id: 'one', name: 'one', ok: true, ageSeconds: 1, why: '', verified: null };
  const first = { ...whole, ageSeconds: null, why: 'its first upload is not done yet' };
  expect(verdictOf({ level: 'green', repositories: [whole, whole] })).toBe(
    'All is well: every commit is in the replica.',
  );
  expect(verdictOf({ level: 'green', repositories: [whole, first] })).toBe(
    'All is well so far: 1 of 2 databases are on their way to the replica.',
  );
  expect(verdictOf({ level: 'red', repositories: [first] })).toBe('Something is wrong:');
});

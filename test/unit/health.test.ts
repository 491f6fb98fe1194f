import { describe, expect, test } from 'vitest';
import type { Covered } from '../../src/backup/coverage.ts';
import type { Finding } from '../../src/health/finding.ts';
import { assessHealth } from '../../src/health/health.ts';
import type { LoopState } from '../../src/health/loop-state.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const at = (secondsAgo: number) => new Date(now - secondsAgo * 1000).toISOString();
const covered = (name: string, why = ''): Covered => ({ id: name, name, ok: why === '', ageSeconds: 1, why });
const sung = { at: at(30), pushMs: 80, replicaMs: 5, txid: 7, ok: true, error: null };
const well: LoopState = {
  startedAt: at(3600),
  at: at(1),
  findings: [],
  covered: [covered('demo')],
  canary: sung,
};
const finding = (level: Finding['level'], what: string): Finding => ({
  level,
  about: 'edge',
  what,
  next: 'Do.',
});

const none = { since: undefined, databases: [] };
const assess = (state: LoopState | undefined, findings: readonly Finding[], when: number) =>
  assessHealth(state, findings, none, when);

describe('assessHealth', () => {
  test('is green when everything was seen to be well a moment ago', () => {
    expect(assess(well, [], now)).toEqual({
      ok: true,
      level: 'green',
      findings: [],
      repositories: well.covered.map((one) => ({ ...one, verified: null })),
      verified: { databases: 0, inLastWeek: 0, last: null },
      canary: sung,
      lookedAt: well.at,
    });
  });

  test('is red without a loop, and when the loop has not looked for a while', () => {
    expect(assess(undefined, [], now)).toMatchObject({ ok: false, level: 'red', lookedAt: null });
    const stuck = assess({ ...well, at: at(16) }, [], now);
    expect(stuck.findings.map(({ what }) => what)).toEqual(['The loop has not looked for 16 s.']);
    expect(assess({ ...well, at: at(14) }, [], now).level).toBe('green');
  });

  test('a last look or a canary in the future is not believed: the clock was set back', () => {
    const ahead = assess({ ...well, at: at(-3600) }, [], now);
    expect(ahead.findings.map(({ what }) => what)).toEqual([
      'The loop looked last 3600 s in the future: the clock was set back, and it has not looked since.',
    ]);
    const sang = assess({ ...well, canary: { ...sung, at: at(-3600) } }, [], now);
    expect(sang.findings.map(({ about }) => about)).toEqual(['canary']);
  });

  test('yellow is still ok; one red makes it red', () => {
    expect(assess(well, [finding('yellow', 'Old.')], now)).toMatchObject({ ok: true, level: 'yellow' });
    const both = [finding('yellow', 'Old.'), finding('red', 'Down.')];
    expect(assess(well, both, now)).toMatchObject({ ok: false, level: 'red', findings: both });
  });

  test('what the loop saw and what is seen now is said once', () => {
    const down = finding('red', 'edge does not answer');
    expect(assess({ ...well, findings: [down] }, [down], now).findings).toEqual([down]);
  });

  test('databases that are not safe are one finding a reason', () => {
    const many = Array.from({ length: 7 }, (_, index) =>
      covered(`r${index}`, `it was last in the replica ${index + 11} s ago`),
    );
    const state = { ...well, covered: [...many, covered('demo', "Litestream can't read it: x")] };
    expect(assess(state, [], now).findings.map(({ about, what }) => [about, what])).toEqual([
      [
        'replica',
        '7 databases are not safe: it was last in the replica too long ago (r0, r1, r2, r3, r4 and 2 more)',
      ],
      ['demo', "demo is not safe: Litestream can't read it: x"],
    ]);
    const one = { ...well, covered: [covered('demo', 'it was last in the replica 12 s ago')] };
    expect(assess(one, [], now).findings[0]?.what).toBe(
      'demo is not safe: it was last in the replica 12 s ago',
    );
  });

  test('a file that Litestream finds malformed is looked at itself, what it can not send in the replica', () => {
    const nextFor = (why: string) =>
      assess({ ...well, covered: [covered('demo', why)] }, [], now).findings[0]?.next;
    expect(nextFor("Litestream can't replicate it: database disk image is malformed (11)")).toContain(
      'fossilrepo restart replication',
    );
    for (const why of [
      'it was last in the replica 12 s ago',
      "Litestream can't replicate it: check database behind replica: get replica position: list ltx files",
    ])
      expect(nextFor(why)).toContain('whether the replica can be reached');
  });

  test('a canary that failed or stays away is red; a server that has just started has time', () => {
    const failed = { ...well, canary: { ...sung, ok: false, error: 'no push' } };
    expect(assess(failed, [], now).findings.map(({ what }) => what)).toEqual(['The canary failed: no push']);
    expect(assess({ ...well, canary: { ...sung, at: at(151) } }, [], now).level).toBe('red');
    expect(assess({ ...well, startedAt: at(20), canary: null }, [], now).level).toBe('green');
    expect(assess({ ...well, startedAt: at(200), canary: null }, [], now).level).toBe('red');
  });
});

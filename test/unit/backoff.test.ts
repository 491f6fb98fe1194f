import { expect, test } from 'vitest';
import { backoff } from '../../src/jobs/backoff.ts';
import { newsOf } from '../../src/jobs/news.ts';

test('a cause is tried at once, then after 2, 4, 8 s, at last every 10 min', () => {
  let now = 0;
  const tries = backoff(() => now);
  const tried: number[] = [];
  for (; now < 3_000_000; now += 1_000) if (tries.due('x')) tried.push(now / 1000);
  const pauses = tried.slice(1).map((at, index) => at - (tried[index] ?? 0));
  expect(pauses).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
});

test('causes do not wait for each other, and one that passed is tried at once again', () => {
  const tries = backoff(() => 1_000);
  expect([tries.due('a'), tries.due('a'), tries.due('b')]).toEqual([true, false, true]);
  tries.clear('a');
  expect([tries.due('a'), tries.due('b')]).toEqual([true, false]);
});

test('a finding is logged when it comes and when it passes, however its seconds count', () => {
  const log: string[] = [];
  const news = newsOf((line) => void log.push(line));
  const late = (seconds: number) =>
    ({ level: 'red', about: 'demo', what: `demo is ${seconds} s late`, next: '' }) as const;
  for (const findings of [[], [late(11)], [late(13)], [], [late(20)]]) news(findings);
  expect(log).toEqual(['red: demo is 11 s late', 'passed: demo is 13 s late', 'red: demo is 20 s late']);
});

test('a finding that turns red is logged once more, and has not passed', () => {
  const log: string[] = [];
  const news = newsOf((line) => void log.push(line));
  const mirror = (level: 'yellow' | 'red') => ({ level, about: 'demo', what: 'not mirrored', next: '' });
  for (const level of ['yellow', 'yellow', 'red', 'red'] as const) news([mirror(level)]);
  expect(log).toEqual(['yellow: not mirrored', 'red: not mirrored']);
});

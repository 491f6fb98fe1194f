import { expect, test } from 'vitest';
import { partFindings, type PartsSeen } from '../../src/health/mirror-parts.ts';

const day = 24 * 3_600_000;
const now = 500 * day;

const seen = (more: Partial<PartsSeen> = {}): PartsSeen => ({
  ...{ repository: 'demo', mirror: { name: 'github' }, parts: [], expiresAt: null },
  ...more,
});
const part = (since: number, errorKind = 'unreachable') =>
  seen({
    parts: [
      {
        ...{ part: 'tickets', error: 'nobody answers.', errorKind, failingSince: since },
        ...{ okAt: now - 2 * day, nextTryAt: now + 900_000 },
      },
    ],
  });

test('a part that fails is yellow, red after a day, and says whether a hand is needed', () => {
  const [yellow] = partFindings([part(now - day + 1)], now);
  expect(yellow).toMatchObject({
    level: 'yellow',
    about: 'demo',
    what: 'Not mirrored: the tickets of demo to github: nobody answers.',
  });
  const stands = 'Last success 2d ago; it is tried again in 15m.';
  expect(yellow?.next).toBe(`${stands} At once: fossilrepo sync demo`);
  expect(partFindings([part(now - day)], now)[0]?.level).toBe('red');
  expect(partFindings([part(now, 'credential')], now)[0]?.next).toContain('not tried again by itself');
});

test('a token that ends is yellow from fourteen days before', () => {
  expect(partFindings([seen(), seen({ expiresAt: now + 14 * day + 1 })], now)).toEqual([]);
  const [soon] = partFindings([seen({ expiresAt: now + 14 * day })], now);
  expect(soon).toMatchObject({ level: 'yellow' });
  expect(soon?.what).toContain('ends on 1971-05-30');
  expect(soon?.next).toContain('fossilrepo mirror configure demo github --token-stdin');
  expect(partFindings([seen({ expiresAt: now })], now)[0]?.what).toContain('ended on');
});

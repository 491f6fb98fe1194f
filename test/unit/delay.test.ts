import { expect, test } from 'vitest';
import { keptWaiting, mendingLong } from '../../src/jobs/delay.ts';

const ago = (seconds: number) => Date.now() - seconds * 1_000;

test('a command at work is no finding; one that keeps the loop from mending for a minute is named', () => {
  const why = 'Another fossilrepo is at work: restore demo (process 7).';
  expect(keptWaiting(undefined)).toEqual([]);
  expect(keptWaiting({ since: ago(50), why })).toEqual([]);
  expect(keptWaiting({ since: ago(75), why })).toMatchObject([
    {
      level: 'yellow',
      what: expect.stringMatching(/restore demo \(process 7\)\. For 7[56] s nothing/) as string,
    },
  ]);
});

test('a round of mending may take longer than its slowest repair', () => {
  expect(mendingLong(0)).toEqual([]);
  expect(mendingLong(ago(80))).toEqual([]);
  expect(mendingLong(ago(100))).toMatchObject([{ level: 'yellow' }]);
});

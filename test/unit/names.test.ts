import { expect, test } from 'vitest';
import { canaryName, checkName, problemWithName } from '../../src/repos/names.ts';
import { pageNames } from '../../src/repos/page-names.ts';

test.each(['a', '1', 'demo', 'my-project', 'x--y', '2048', 'a'.repeat(63), 'wiki2', 'time-line'])(
  '%s can be a name',
  (name) => expect(problemWithName(name)).toBeUndefined(),
);

test.each([
  ['', 'cannot be'],
  ['-a', 'cannot be'],
  ['a-', 'cannot be'],
  ['A', 'cannot be'],
  ['a_b', 'cannot be'],
  ['a.b', 'cannot be'],
  ['a/b', 'cannot be'],
  ['..', 'cannot be'],
  ['a b', 'cannot be'],
  ['a\n', 'cannot be'],
  ['ä', 'cannot be'],
  ['a'.repeat(64), 'cannot be'],
  ['timeline', 'a page'],
  ['xfer', 'a page'],
  ['test-env', 'a page'],
  ['www', 'reserved'],
  ['app', 'reserved'],
  [canaryName, 'reserved'],
])('%j is refused: %s', (name, why) => {
  expect(() => checkName(name)).toThrow(why);
});

test('the canary has its name', () => {
  expect(() => checkName(canaryName, { canary: true })).not.toThrow();
  expect(() => checkName('www', { canary: true })).toThrow('reserved');
});

test('every page name is one that the rule would let through', () => {
  expect(pageNames.size).toBeGreaterThan(170);
  for (const name of pageNames) expect(name).toMatch(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
});

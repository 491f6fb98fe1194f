import { expect, test } from 'vitest';
import { digestOf, isSameOrigin, originOf } from '../../src/mirror/export/origin.ts';

const origin = (files: number, there?: readonly string[], parents: readonly string[] = ['p']): string =>
  originOf({ severed: false, parents, files, digest: there && digestOf(there) });

test('one file that is there in the stead of another makes another origin, their order and a rebuild do not', () => {
  expect(isSameOrigin(origin(1, ['a']), origin(1, ['b']))).toBe(false);
  expect(isSameOrigin(origin(2, ['a', 'b']), origin(2, ['b', 'a']))).toBe(true);
  expect(isSameOrigin(origin(2, ['a', 'b']), origin(1, ['a']))).toBe(false);
  expect(isSameOrigin(origin(1, ['a']), origin(1, ['a'], ['q']))).toBe(false);
});

test('what was exported before anything was shunned stays, as long as nothing of it is gone', () => {
  expect(isSameOrigin(origin(2), origin(2, ['a', 'b']))).toBe(true);
  expect(isSameOrigin(origin(2), origin(1, ['a']))).toBe(false);
  expect(isSameOrigin(origin(2, ['a', 'b']), origin(2))).toBe(true);
  expect(isSameOrigin(origin(1, ['a']), origin(2))).toBe(false);
  expect(isSameOrigin('', origin(0))).toBe(false);
});

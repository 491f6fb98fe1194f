import { expect, test } from 'vitest';
import { applyDelta } from '../../src/repos/delta.ts';

const source = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
const made = (delta: string, size: number) => applyDelta(source, Buffer.from(delta), size).toString();

test('pieces are copied from anywhere in the source, and inserted', () => {
  expect(made('D\n3@A,4:-@;:3@0,3@1,0;', 13)).toBe('abc-@;:012123');
  expect(made('0\n0;', 0)).toBe('');
});

test.each([
  ['nothing', ''],
  ['another length', 'E\n3@A,4:-@;:3@0,3@1,0;'],
  ['too little', 'D\n3@A,0;'],
  ['too much', 'D\n3@A,4:-@;:3@0,3@2,1@0,0;'],
  ['a piece behind the end of the source', 'D\nD@Z,0;'],
  ['a piece behind the end of the delta', 'D\nD:abc'],
  ['no end', 'D\nD@0,'],
  ['a number without end', 'D\nzzzzzzzzzzzz@0,'],
  ['another sign', 'D\nD!0,0;'],
])('%s is an error', (_, delta) => {
  expect(() => made(delta, 13)).toThrow();
});

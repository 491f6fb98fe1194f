import { expect, test } from 'vitest';
import { listHistory } from '../../src/backup/history.ts';
import { levelOf } from '../../src/backup/location.ts';

const file = (min: number, max: number) =>
  `${[min, max].map((txid) => txid.toString(16).padStart(16, '0')).join('-')}.ltx`;

test('an object belongs to the level whose folder it lies in, for either kind of place', () => {
  expect(levelOf({ kind: 's3', key: 'i/repos/a' }, `i/repos/a/0002/${file(1, 2)}`)).toBe(2);
  expect(levelOf({ kind: 'directory', key: 'i/repos/a' }, `i/repos/a/ltx/9/${file(1, 2)}`)).toBe(9);
  for (const other of ['i/repos/a/0003/', 'i/repos/a/0002/more/', 'i/repos/b/0002/', 'i/repos/a/'])
    expect(levelOf({ kind: 's3', key: 'i/repos/a' }, other + file(1, 2)), other).toBeUndefined();
});

test('all levels come by one list from S3', async () => {
  const keys = [
    `k/0000/${file(3, 3)}`,
    `k/0001/${file(2, 3)}`,
    `k/0009/${file(1, 2)}`,
    'k/0000/other',
    `k/0003/${file(1, 9)}`,
  ];
  const asked: string[] = [];
  const list = async function* (prefix: string) {
    asked.push(prefix);
    for (const key of keys) yield await Promise.resolve({ key, bytes: 1, modified: new Date(0) });
  };
  const refuse = () => Promise.reject(new Error('only lists'));
  const store = { describe: '', list, get: refuse, head: refuse, put: refuse, delete: refuse };
  const found = await listHistory({ store, kind: 's3', key: 'k' });
  expect(found.map(({ level, min, max }) => [level, min, max])).toEqual([
    [0, 3, 3],
    [1, 2, 3],
    [9, 1, 2],
  ]);
  expect(asked).toEqual(['k/']);
});

import { expect, test } from 'vitest';
import { levelKey, replicaPlace, replicaUrl, transactionsOf } from '../../src/backup/location.ts';

const file = { url: 'file:///var/backups/fossilrepo/', endpoint: undefined, region: 'us-east-1' };
const s3 = { url: 's3://bucket/a/prefix', endpoint: 'http://127.0.0.1:9000', region: 'eu-1' };

test('a folder', () => {
  expect(replicaPlace(file)).toEqual({ kind: 'directory', folder: '/var/backups/fossilrepo' });
  expect(replicaUrl(file, 'inst', 'repos/id1')).toBe('file:///var/backups/fossilrepo/inst/repos/id1');
  expect(replicaUrl(file, 'inst', 'management')).toBe('file:///var/backups/fossilrepo/inst/management');
});

test('S3-compatible storage', () => {
  expect(replicaPlace(s3)).toEqual({
    kind: 's3',
    bucket: 'bucket',
    prefix: 'a/prefix',
    endpoint: 'http://127.0.0.1:9000',
    region: 'eu-1',
  });
  expect(replicaUrl(s3, 'inst', 'repos/id1')).toBe(
    's3://bucket/a/prefix/inst/repos/id1?region=eu-1&endpoint=http%3A%2F%2F127.0.0.1%3A9000&forcePathStyle=true',
  );
});

test('Amazon S3, without a prefix', () => {
  expect(replicaUrl({ url: 's3://bucket', endpoint: undefined, region: 'eu-1' }, 'inst', 'management')).toBe(
    's3://bucket/inst/management?region=eu-1',
  );
});

test.each(['file:///a b', 'file:///ä', 'file:///a%20b', 's3://bucket/a(b)'])(
  '%s would be another place to Litestream',
  (url) => {
    expect(() => replicaPlace({ ...file, url })).toThrow(url);
  },
);

test('levels and file names', () => {
  expect(levelKey({ kind: 'directory', key: 'i/repos/1' }, 9)).toBe('i/repos/1/ltx/9/');
  expect(levelKey({ kind: 's3', key: 'i/repos/1' }, 9)).toBe('i/repos/1/0009/');
  expect(transactionsOf('i/repos/1/0000/0000000000000002-000000000000001f.ltx')).toEqual({ min: 2, max: 31 });
  expect(transactionsOf('i/repos/1/0000/0000000000000002-000000000000001f.ltx.tmp')).toBeUndefined();
});

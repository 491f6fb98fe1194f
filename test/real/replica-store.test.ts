import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { probeReplica } from '../../src/backup/probe.ts';
import { s3Store } from '../../src/backup/s3-store.ts';
import { deleteAll, type ReplicaStore } from '../../src/backup/store.ts';
import { OperatorError } from '../../src/errors.ts';
import { unruly } from '../faults/unruly.ts';
import { freePort, type S3, startS3 } from './s3.ts';

let s3: S3;
let folder: string;

beforeAll(async () => {
  s3 = await startS3();
  folder = mkdtempSync(join(tmpdir(), 'fossilrepo-store-'));
});

afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const place = (more = {}) =>
  ({
    kind: 's3',
    bucket: s3.bucket,
    prefix: 'a/prefix',
    endpoint: s3.endpoint,
    region: 'us-east-1',
    ...more,
  }) as const;
const keys = (more = {}) => ({ accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey, ...more });

async function keysOf(
  store: ReplicaStore,
  ...[prefix, options]: Parameters<ReplicaStore['list']>
): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix, options)) found.push(key);
  return found.sort();
}

async function failure(work: Promise<unknown>): Promise<OperatorError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OperatorError)) throw new Error('no OperatorError', { cause: error });
  return error;
}

describe.each([
  ['a directory', () => directoryStore(folder)],
  ['S3', () => s3Store(place(), keys())],
])('%s', (_name, open) => {
  test('keeps, lists and deletes objects', async () => {
    const store = open();
    const before = Date.now();
    expect(await store.put('i/repos/1/x', 'one\n')).toBe(true);
    await store.put('i/repos/1/x', 'two\n');
    for (const key of ['i/repos/1/y', 'i/repos/10/x', 'i/management/x']) await store.put(key, key);
    expect(await store.get('i/repos/1/x')).toBe('two\n');
    expect(await keysOf(store, 'i/repos/1/')).toEqual(['i/repos/1/x', 'i/repos/1/y']);
    expect(await keysOf(store, 'i/repos/1')).toEqual(['i/repos/1/x', 'i/repos/1/y', 'i/repos/10/x']);
    expect(await keysOf(store, 'i/repos/1/', { after: 'i/repos/1/x' })).toEqual(['i/repos/1/y']);
    expect(await keysOf(store, 'i/', { limit: 2 })).toHaveLength(2);
    expect(await keysOf(store, 'nothing/')).toEqual([]);
    for await (const { bytes, modified } of store.list('i/repos/1/x')) {
      expect(bytes).toBe(4);
      expect(Math.abs(modified.getTime() - before)).toBeLessThan(10_000);
    }
    for (const key of ['i/repos/1/x', 'i/repos/1/x', 'i/repos/1/y']) await store.delete(key);
    expect(await keysOf(store, 'i/repos/1/')).toEqual([]);
    expect(await store.get('i/repos/1/x')).toBeUndefined();
  });

  test('lists more than a page', async () => {
    const store = open();
    for (let piece = 0; piece < 21; piece++)
      await Promise.all(Array.from({ length: 50 }, (_, n) => store.put(`many/${piece}-${n}`, '')));
    expect(await keysOf(store, 'many/')).toHaveLength(1050);
    expect(await keysOf(store, 'many/', { limit: 1001 })).toHaveLength(1001);
  });

  test('deletes all below a prefix and nothing else', async () => {
    const store = open();
    const keys = Array.from({ length: 1_100 }, (_, n) => `all/1/${n % 3}/${n}`);
    await pMap(keys, (key) => store.put(key, 'x'), { concurrency: 25 });
    await store.put('all/10/x', 'stays');
    await deleteAll(store, 'all/1/');
    await deleteAll(store, 'all/1/');
    expect(await keysOf(store, 'all/')).toEqual(['all/10/x']);
  });

  test('says why not all could be deleted', async () => {
    const store = open();
    for (const key of ['some/a', 'some/b', 'some/c']) await store.put(key, 'x');
    const refusing = {
      ...store,
      delete: (key: string) =>
        key.endsWith('b') ? Promise.reject(new OperatorError('refused')) : store.delete(key),
    };
    expect((await failure(deleteAll(refusing, 'some/'))).message).toBe('refused');
    await deleteAll(store, 'some/');
    expect(await keysOf(store, 'some/')).toEqual([]);
  });

  test('passes the probe, which leaves nothing behind', async () => {
    await probeReplica(open());
    expect(await keysOf(open(), 'probe-')).toEqual([]);
  });
});

describe('a directory', () => {
  test('that is not there is an error and is not made', async () => {
    const store = directoryStore(join(folder, 'unmounted'));
    for (const work of [
      () => store.get('x'),
      () => store.put('x', ''),
      () => keysOf(store, ''),
      () => store.delete('x'),
    ])
      expect((await failure(work())).message).toContain('is not there');
    expect((await failure(probeReplica(store))).next).toContain('Mount its disk');
    expect(existsSync(join(folder, 'unmounted'))).toBe(false);
  });

  test('takes an object only once when it has to be new', async () => {
    const store = directoryStore(folder);
    expect(await store.put('new', 'a', { onlyNew: true })).toBe(true);
    expect(await store.put('new', 'b', { onlyNew: true })).toBe(false);
    expect(await store.get('new')).toBe('a');
  });

  test('that is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect((await failure(probeReplica(directoryStore(join(folder, 'file'))))).message).toContain(
      'is not there',
    );
  });

  test('that may not be written', async () => {
    // Nobody may make files there, not even root.
    expect((await failure(probeReplica(directoryStore('/dev/pts')))).next).toContain('chown');
  });
});

test('S3: an answer that breaks off in its middle is asked for again', async () => {
  await using storage = await unruly(s3);
  const store = s3Store(place({ endpoint: storage.endpoint }), keys());
  const text = 'x'.repeat(100_000);
  await store.put('large', text);
  await storage.become('curt');
  expect(await store.get('large')).toBe(text);
  await storage.become('curt');
  expect((await store.head('large', 50_000))?.bytes.toString()).toBe(text.slice(0, 50_000));
  await store.delete('large');
});

describe('S3 says what is wrong', () => {
  test('with the bucket', async () => {
    const { message, next } = await failure(probeReplica(s3Store(place({ bucket: 'nobody' }), keys())));
    expect(message).toBe(`There is no bucket nobody at ${s3.endpoint}.`);
    expect(next).toContain('replica.url');
  });

  test('with the key, without printing it', async () => {
    const wrong = { accessKeyId: 'NOBODY', secretAccessKey: 'hidden-value' };
    const error = await failure(probeReplica(s3Store(place(), keys(wrong))));
    expect(error.message).toMatch(/does not know the access key|may not/);
    expect(`${error.message} ${error.next ?? ''}`).not.toContain('hidden-value');
  });

  test('with the secret', async () => {
    const error = await failure(probeReplica(s3Store(place(), keys({ secretAccessKey: 'hidden-value' }))));
    expect(error.message).toBe(`${s3.endpoint} says that the secret key is wrong.`);
    expect(error.next).toContain('aws_secret_access_key');
  });

  test('with the way to it', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    expect((await failure(probeReplica(s3Store(place({ endpoint }), keys())))).message).toBe(
      `${endpoint} can't be reached.`,
    );
  });

  test('with TLS', async () => {
    const endpoint = s3.endpoint.replace('http:', 'https:');
    const { message } = await failure(probeReplica(s3Store(place({ endpoint }), keys())));
    expect(message).toContain('certificate');
  });
});

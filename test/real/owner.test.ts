import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { directoryStore } from '../../src/backup/directory-store.ts';
import {
  askCopy,
  beatOwner,
  checkOwner,
  claimOwner,
  ownerConflict,
  ownerKey,
  readOwner,
  takeOver,
  thisOwner,
} from '../../src/backup/owner.ts';
import { s3Store } from '../../src/backup/s3-store.ts';
import type { ReplicaStore } from '../../src/backup/store.ts';
import { type S3, startS3 } from './s3.ts';

let s3: S3;
let root: string;
let run = 0;

beforeAll(async () => {
  s3 = await startS3();
  root = mkdtempSync(join(tmpdir(), 'fossilrepo-owner-'));
  writeFileSync(join(root, 'machine-a'), 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n');
  writeFileSync(join(root, 'machine-b'), 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n');
});

afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const machine = (letter: 'a' | 'b', instance: string, generation = 0) =>
  thisOwner({ instance, root: '/', generation }, join(root, `machine-${letter}`));
/** The machine a by another start of it. */
const boot = (id: string) => {
  writeFileSync(join(root, `boot-${id}`), `${id}\n`);
  const machineId = join(root, 'machine-a');
  return thisOwner({ instance: 'one', root: '/', generation: 0 }, machineId, join(root, `boot-${id}`));
};
const at = (iso: string) => ({ now: () => Date.parse(iso) });

describe.each([
  [
    'a directory',
    () => {
      mkdirSync(join(root, `r${run}`), { recursive: true });
      return directoryStore(join(root, `r${run}`));
    },
  ],
  [
    'S3',
    () =>
      s3Store(
        { kind: 's3', bucket: s3.bucket, prefix: `r${run}`, endpoint: s3.endpoint, region: 'us-east-1' },
        s3,
      ),
  ],
])('a replica in %s', (_name, open) => {
  let store: ReplicaStore;
  beforeEach(() => {
    run++;
    store = open();
  });

  test('is free, then ours, and stays so with each beat', async () => {
    const me = machine('a', 'one');
    expect(await checkOwner(store, me)).toBe('missing');
    expect(await ownerConflict(store, machine('b', ''))).toBeUndefined();
    await claimOwner(store, me, at('2026-11-21T10:00:00Z'));
    await beatOwner(store, me, at('2026-11-21T10:01:00Z'));
    await claimOwner(store, me, at('2026-11-21T10:02:00Z'));
    expect(await checkOwner(store, me)).toBe('ours');
    const text = await store.get(ownerKey);
    expect(text).toContain('2026-11-21T10:02:00.000Z');
    // The machine's own id stays on the machine.
    expect(text).not.toContain('aaaaaaaa');
  });

  test('of another server is refused, with whose it is and since when', async () => {
    await claimOwner(store, machine('a', 'one'), at('2026-11-21T10:00:00Z'));
    const claim = claimOwner(store, machine('b', 'two'), at('2026-11-21T13:00:00Z'));
    await expect(claim).rejects.toMatchObject({
      message: expect.stringContaining('(instance one)') as string,
      next: expect.stringContaining('last alive 3 hours ago') as string,
    });
    expect(await checkOwner(store, machine('b', 'two'))).toMatchObject({ other: { instance: 'one' } });
    await expect(beatOwner(store, machine('b', 'two'))).rejects.toThrow('instance one');
    expect(await ownerConflict(store, machine('b', ''))).toMatchObject({
      next: expect.stringContaining('fossilrepo install --from') as string,
    });
    expect(await checkOwner(store, machine('a', 'one'))).toBe('ours');
  });

  test('of a copied server is refused while the other one is alive, and taken over when it is gone', async () => {
    await claimOwner(store, machine('a', 'one'), at('2026-11-21T10:00:00Z'));
    const soon = claimOwner(store, machine('b', 'one'), at('2026-11-21T10:05:00Z'));
    await expect(soon).rejects.toThrow('a copy of this one');
    await claimOwner(store, machine('b', 'one'), at('2026-11-21T10:11:00Z'));
    expect(await checkOwner(store, machine('b', 'one'))).toBe('ours');
    expect(await checkOwner(store, machine('a', 'one'))).toMatchObject({ other: { instance: 'one' } });
    await expect(beatOwner(store, machine('a', 'one'), at('2026-11-21T10:12:00Z'))).rejects.toThrow('a copy');
  });

  test('that was brought back elsewhere is never taken back by the former server, however quiet the new one is', async () => {
    await claimOwner(store, machine('a', 'one'), at('2026-11-21T10:00:00Z'));
    const brought = machine('b', 'one', 1);
    await takeOver(store, brought);
    const { heartbeat = '' } = (await readOwner(store)) ?? {};
    const later = { now: () => Date.parse(heartbeat) + 24 * 3_600_000 };
    await expect(claimOwner(store, machine('a', 'one'), later)).rejects.toThrow('brought back there');
    expect(await ownerConflict(store, machine('a', 'one'), later)).toBeDefined();
    expect(await checkOwner(store, brought)).toBe('ours');
    // One that was brought back once more may.
    expect(await ownerConflict(store, machine('a', 'one', 1), later)).toBeUndefined();
  });

  test('goes to one of two who claim it at once', async () => {
    const claims = [claimOwner(store, machine('a', 'one')), claimOwner(store, machine('b', 'two'))];
    const ended = await Promise.allSettled(claims);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('stays with a server that answers a copy with the same machine id', async () => {
    const [runs, copied] = [boot('one'), boot('two')];
    await claimOwner(store, runs);
    expect(await checkOwner(store, copied)).toMatchObject({ other: { boot: runs.boot } });
    const asking = askCopy(store, copied);
    await sleep(1_500);
    await beatOwner(store, runs);
    expect(await asking).toBe(true);
    expect(await checkOwner(store, runs)).toBe('ours');
    expect(await store.get(ownerKey)).not.toContain('asked');
    await expect(claimOwner(store, copied)).rejects.toThrow('with the same machine id');
    // A version that knows no boots wrote this.
    const { version, machine: id, hostname, heartbeat } = (await readOwner(store)) ?? {};
    const former = JSON.stringify({ version, instance: 'one', machine: id, hostname, heartbeat });
    await store.put(ownerKey, former);
    expect(await checkOwner(store, copied)).toBe('ours');
  });

  test('goes to the later of two starts of one machine when nobody answers', async () => {
    const [one, two] = [boot('two'), boot('three')];
    await claimOwner(store, boot('one'));
    const earlier = askCopy(store, one);
    await sleep(2_000);
    const later = askCopy(store, two);
    expect(await earlier).toBe(true);
    expect(await later).toBe(false);
    expect(await checkOwner(store, two)).toBe('ours');
    await expect(beatOwner(store, one)).rejects.toThrow('with the same machine id');
  });

  test('whose owner object is gone gets no beat', async () => {
    const me = machine('a', 'one');
    await claimOwner(store, me);
    await store.delete(ownerKey);
    expect(await checkOwner(store, me)).toBe('missing');
    await expect(beatOwner(store, me)).rejects.toThrow('no owner object');
    expect(await store.get(ownerKey)).toBeUndefined();
  });

  test('whose owner object is something else is not overwritten', async () => {
    await store.put(ownerKey, 'not ours');
    await expect(claimOwner(store, machine('a', 'one'))).rejects.toThrow("can't be read");
    expect(await store.get(ownerKey)).toBe('not ours');
  });
});

test('a disk that is not mounted is an error, whether its mount point is there or not', async () => {
  const folder = join(root, 'disk');
  mkdirSync(folder);
  const [store, me] = [directoryStore(folder), machine('a', 'one')];
  await claimOwner(store, me);
  renameSync(folder, `${folder}-away`);
  await expect(checkOwner(store, me)).rejects.toThrow('is not there');
  mkdirSync(folder);
  expect(await checkOwner(store, me)).toBe('missing');
});

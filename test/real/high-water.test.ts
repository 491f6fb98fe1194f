import { renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  forgetHighWater,
  readHighWater,
  savedHighWater,
  saveHighWater,
  writeHighWater,
} from '../../src/backup/high-water.ts';
import { listHistory, newestTxid } from '../../src/backup/history.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { type HighWaterKeeper, keepHighWater } from '../../src/jobs/high-water.ts';
import { insertRepository, removeRepository } from '../../src/store/repositories.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { replicationStage, type Stage, until } from './replication-stage.ts';

// Without a `serve`: nobody tells of a push, as when the kernel drops an event.

let stage: Stage;
let store: Store;
let keeper: HighWaterKeeper;

beforeAll(async () => {
  stage = replicationStage();
  for (const name of ['one', 'other']) await stage.init(name);
  store = openStore({ database: stage.file('management') });
  for (const name of ['one', 'other']) insert(`id-${name}`, name);
  await stage.start(['management', { name: 'one', id: 'id-one' }, { name: 'other', id: 'id-other' }]);
  keeper = newKeeper();
}, 60_000);
afterAll(async () => {
  store[Symbol.dispose]();
  await stage[Symbol.asyncDispose]();
});

const insert = (id: string, name: string) =>
  insertRepository(store, {
    id,
    name,
    state: 'active',
    visibility: 'public',
    file: `repos/${name}.fossil`,
  });

const newKeeper = () =>
  keepHighWater({
    config: { replica: { url: `file://${stage.at('replica')}`, endpoint: undefined, region: 'auto' } },
    secrets: { storage: undefined },
    instance: 'instance',
    store,
    litestream: stage.control,
    paths: { ...pathsUnder(stage.root), data: stage.root, database: stage.file('management') },
  });

const beside = () => readHighWater(stage.store, 'instance');
const published = async () => {
  await keeper.publish();
  return beside();
};
const inReplica = async (id: string) => newestTxid(await listHistory(stage.history(id)));

test('what was sent while nobody was told is marked all the same, once it is in the replica', async () => {
  const newest = new Map<string, number>();
  await until(async () => {
    await keeper.look();
    const marks = await published();
    for (const id of ['id-one', 'id-other']) newest.set(id, await inReplica(id));
    return [...newest].every(([id, txid]) => txid > 0 && marks.get(id) === txid);
  });
  renameSync(stage.at('replica'), stage.at('away'));
  writeFileSync(stage.at('replica'), '');
  await stage.commit('one', 'late');
  const taken = async () =>
    (await stage.control.syncNow(stage.file('one'), 300).catch(() => undefined))?.txid;
  expect(await taken()).toBeUndefined();
  await keeper.look();
  keeper.save();
  expect(savedHighWater(store).get('id-one')).toBe(newest.get('id-one'));
  renameSync(stage.at('replica'), stage.at('file'));
  renameSync(stage.at('away'), stage.at('replica'));
  await until(async () => {
    await keeper.look();
    keeper.save();
    return savedHighWater(store).get('id-one') === (newest.get('id-one') ?? 0) + 1;
  });
});

test('one that begins anew takes no mark of others along, and gets none meanwhile', async () => {
  const before = (await published()).get('id-other');
  keeper.note(stage.file('one'), 1_000);
  keeper.note(stage.file('other'), 1_000);
  await keeper.forget([{ id: 'id-other' }], () => {
    keeper.note(stage.file('other'), 2_000);
    return Promise.resolve();
  });
  const marks = await published();
  expect([marks.get('id-one'), marks.get('id-other')]).toEqual([1_000, before]);
});

test('the higher one counts of what is beside the replica and what is in the database, which a command may write meanwhile', async () => {
  saveHighWater(store, new Map([['id-other', 500]]));
  expect((await published()).get('id-other')).toBe(500);
  await writeHighWater(stage.store, 'instance', new Map([...(await beside()), ['id-other', 400]]));
  keeper = newKeeper();
  expect((await published()).get('id-other')).toBe(500);
});

test('one that was purged leaves no mark, neither to its file that is put back nor to another of its name', async () => {
  const purge = () => {
    forgetHighWater(store, 'id-one');
    removeRepository(store, 'id-one');
  };
  keeper.note(stage.file('one'), 1_500);
  purge();
  expect((await published()).has('id-one')).toBe(false);
  insert('id-one', 'one');
  expect((await published()).has('id-one')).toBe(false);
  keeper.note(stage.file('one'), 1_500);
  purge();
  insert('id-another', 'one');
  expect((await published()).has('id-another')).toBe(false);
});

test('a digit that was flipped is seen; what an earlier version wrote, without a checksum, is read', async () => {
  const key = 'flipped/high-water.json';
  await writeHighWater(
    stage.store,
    'flipped',
    new Map([
      ['b', 123],
      ['a', 4],
    ]),
  );
  const written = await stage.store.get(key);
  expect(await readHighWater(stage.store, 'flipped')).toEqual(
    new Map([
      ['a', 4],
      ['b', 123],
    ]),
  );
  for (const [from, to] of [
    ['123', '122'],
    ['"a"', '"c"'],
    ['sha256', 'sha257'],
  ] as const) {
    await stage.store.put(key, written?.toString().replace(from, to) ?? '');
    await expect(readHighWater(stage.store, 'flipped')).rejects.toThrow('is damaged');
  }
  await stage.store.put(key, '{"b":122}');
  expect(await readHighWater(stage.store, 'flipped')).toEqual(new Map([['b', 122]]));
});

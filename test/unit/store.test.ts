import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { forgetHighWater, knownTxid, saveHighWater } from '../../src/backup/high-water.ts';
import { addEvent, keptEvents, newestEvents } from '../../src/store/events.ts';
import { findMember, insertMember, listMembers, updateMember } from '../../src/store/members.ts';
import {
  findRepository,
  getRepository,
  insertRepository,
  listRepositories,
  listTrashed,
  removeRepository,
  updateRepository,
} from '../../src/store/repositories.ts';
import { endSessionsOf, insertSession, memberOfSession } from '../../src/store/sessions.ts';
import { createInstance, instanceId, openStore, type Store, transaction } from '../../src/store/store.ts';
import { forgetIdents, freezeIdents, identsOf } from '../../src/store/idents.ts';

let folder: string;
let paths: { database: string };
let store: Store;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-'));
  paths = { database: join(folder, 'state/fossilrepo.db') };
  store = openStore(paths);
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const demo = (name = 'demo') => ({
  id: randomUUID(),
  name,
  visibility: 'private' as const,
  file: `repos/${name}.fossil`,
});

describe('the database', () => {
  test('belongs to its owner alone, with its side files', () => {
    createInstance(store);
    for (const side of ['', '-wal', '-shm']) expect(statSync(paths.database + side).mode & 0o777).toBe(0o600);
  });

  test('keeps its identity and its rows over a restart', () => {
    expect(() => instanceId(store)).toThrow('no identity');
    const id = createInstance(store);
    store.close();
    store = openStore(paths);
    expect(createInstance(store)).toBe(id);
    expect(instanceId(store)).toBe(id);
  });

  test('of a newer version is refused and left alone', () => {
    const id = createInstance(store);
    store.database.exec('PRAGMA user_version = 99');
    expect(() => openStore(paths)).toThrow('newer fossilrepo (schema 99, and this one knows');
    expect(() => openStore(paths)).toThrow(
      expect.objectContaining({ next: expect.stringContaining('Use that version') as unknown }),
    );
    expect(store.database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 99 });
    expect(instanceId(store)).toBe(id);
  });

  test('is not made where it has to be there', () => {
    expect(() => openStore({ database: join(folder, 'other.db') }, { create: false })).toThrow(
      'no management database',
    );
  });

  test("keeps Litestream's tables", () => {
    store.database.exec('CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq INTEGER)');
    store.close();
    store = openStore(paths);
    expect(store.database.prepare('SELECT count(*) AS n FROM _litestream_seq').get()).toEqual({ n: 0 });
  });

  test('waits for another writer', async () => {
    const script = `const { DatabaseSync } = require('node:sqlite'); const d = new DatabaseSync(process.argv[1]);
      d.exec('BEGIN IMMEDIATE'); console.log('locked'); setTimeout(() => d.exec('COMMIT'), 400);`;
    const other = spawn(process.execPath, ['-e', script, paths.database], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(other, 'exit');
    await once(other.stdout, 'data');
    const started = performance.now();
    expect(insertRepository(store, demo()).name).toBe('demo');
    expect(performance.now() - started).toBeGreaterThan(200);
    await ended;
  });

  test('a transaction that throws leaves nothing', () => {
    expect(() =>
      transaction(store, () => {
        insertRepository(store, demo());
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(listRepositories(store)).toEqual([]);
  });
});

describe('repositories', () => {
  test('are found by name, and a name is taken once', () => {
    const made = insertRepository(store, { ...demo(), description: 'A demo', createdAt: 5 });
    expect(made).toMatchObject({
      state: 'creating',
      archived: false,
      hidden: false,
      createdAt: 5,
      deletedAt: null,
    });
    expect(findRepository(store, 'demo')).toEqual(made);
    expect(() => insertRepository(store, { ...demo(), file: 'x' })).toThrow('already a repository demo');
    expect(() => getRepository(store, 'other')).toThrow('no repository other');
  });

  test('in the trash free their name', () => {
    const one = insertRepository(store, { ...demo(), state: 'active' });
    updateRepository(store, one.id, { state: 'trashed', deletedAt: 7, file: `work/trash/${one.id}.fossil` });
    const two = insertRepository(store, demo());
    expect(listTrashed(store, 'demo').map(({ id }) => id)).toEqual([one.id]);
    expect(listTrashed(store, 'else')).toEqual([]);
    expect(findRepository(store, 'demo')?.id).toBe(two.id);
    expect(() => updateRepository(store, one.id, { state: 'active', deletedAt: null })).toThrow('already');
    expect(removeRepository(store, two.id)).toBe(true);
    expect(updateRepository(store, one.id, { state: 'active', deletedAt: null }).name).toBe('demo');
  });

  test('that are hidden are listed only on request', () => {
    insertRepository(store, { ...demo('canary'), hidden: true });
    insertRepository(store, demo('b'));
    insertRepository(store, demo('a'));
    expect(listRepositories(store).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(listRepositories(store, { hidden: true })).toHaveLength(3);
  });
});

describe('members and their sessions', () => {
  const admin = () =>
    insertMember(store, { login: 'admin', administrator: true, passwordHash: 'h', sealedToken: 's' });

  test('a session leads to its member until it ends', () => {
    const member = admin();
    insertSession(store, member.id, 'token-1', 1000, 50);
    expect(memberOfSession(store, 'token-1', 60)).toEqual(member);
    expect(memberOfSession(store, 'token-1', 1050)).toBeUndefined();
    expect(memberOfSession(store, 'token-2', 60)).toBeUndefined();
    expect(JSON.stringify(store.database.prepare('SELECT * FROM session').all())).not.toContain('token-1');
    expect(endSessionsOf(store, member.id)).toBe(1);
    expect(memberOfSession(store, 'token-1', 60)).toBeUndefined();
  });

  test('a new password or being disabled ends them', () => {
    const member = admin();
    insertSession(store, member.id, 'one', 1000, 50);
    updateMember(store, member.id, { displayName: 'Ada' });
    expect(memberOfSession(store, 'one', 60)?.displayName).toBe('Ada');
    updateMember(store, member.id, { passwordHash: 'other' });
    expect(memberOfSession(store, 'one', 60)).toBeUndefined();
    updateMember(store, member.id, { disabledAt: 3 });
    expect(listMembers(store)).toEqual([]);
    expect(findMember(store, 'admin')?.disabledAt).toBe(3);
    expect(() => admin()).toThrow('already a member');
  });
});

test('only the newest events are kept', () => {
  transaction(store, () => {
    for (let n = 0; n < keptEvents + 3; n++) addEvent(store, { kind: 'test', text: String(n), at: n });
  });
  addEvent(store, { kind: 'adopted', text: 'last', repository: 'id' });
  expect(newestEvents(store, 2).map(({ text }) => text)).toEqual(['last', String(keptEvents + 2)]);
  expect(newestEvents(store, 5, 'id')).toHaveLength(1);
  expect(newestEvents(store, 20_000)).toHaveLength(keptEvents);
});

describe('idents', () => {
  test('never change once they are there, each repository has its own, and they go with it', () => {
    const one = { name: 'One', mail: 'one@example.com' };
    const other = { name: 'Other', mail: 'other@example.com' };
    freezeIdents(store, 'a', new Map([['login', one]]));
    freezeIdents(
      store,
      'a',
      new Map([
        ['login', other],
        ['more', other],
      ]),
    );
    freezeIdents(store, 'b', new Map([['login', other]]));
    expect(identsOf(store, 'a')).toEqual(
      new Map([
        ['login', one],
        ['more', other],
      ]),
    );
    expect(forgetIdents(store, 'a')).toBe(2);
    expect(identsOf(store, 'a').size).toBe(0);
    expect(identsOf(store, 'b')).toEqual(new Map([['login', other]]));
  });
});

test('of what is known to be in the replica the higher mark counts, beside the replica or in the database', () => {
  const beside = new Map([
    ['lower', 3],
    ['higher', 9],
    ['beside', 4],
  ]);
  const saved = ['lower', 'higher', 'saved'].map((id) => [id, 7] as const);
  saveHighWater(store, new Map(saved));
  const known = () =>
    ['lower', 'higher', 'beside', 'saved', 'none'].map((id) => knownTxid(store, id, beside));
  expect(known()).toEqual([7, 9, 4, 7, 0]);
  saveHighWater(store, new Map([['lower', 5]]));
  expect(known()).toEqual([7, 9, 4, 7, 0]);
  forgetHighWater(store, 'saved');
  expect(known()).toEqual([7, 9, 4, 0, 0]);
});

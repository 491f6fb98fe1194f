import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unexplained } from '../../src/backup/verify/explain.ts';
import { dailyCount, isDue, minuteOf, sampleOf } from '../../src/backup/verify/sample.ts';
import { summaryOfVerified, verifiedFindings, verifiedLately } from '../../src/health/verified.ts';
import type { Change, Difference } from '../../src/repos/contents/difference.ts';
import { allKinds, type Kind } from '../../src/repos/contents/kinds.ts';
import { insertRepository } from '../../src/store/repositories.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import {
  addVerification,
  forgetVerifications,
  lastAttempts,
  lastVerifications,
  noteRound,
  type Verification,
  verificationsOf,
  verifyingSince,
} from '../../src/store/verifications.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const day = 24 * 3_600_000;

describe('the sample', () => {
  test('takes those never tried, then those not tried for the longest time, and all that failed', () => {
    const tried = new Map([
      ['a', 5],
      ['b', 3],
      ['c', 4],
    ]);
    const ids = ['a', 'b', 'c', 'd'];
    expect(sampleOf(ids, 2, tried, new Set())).toEqual(['d', 'b']);
    expect(sampleOf(ids, 1, tried, new Set(['a', 'gone']))).toEqual(['d', 'a']);
    expect(sampleOf(ids, 9, tried, new Set(['a']))).toEqual(['d', 'b', 'c', 'a']);
  });

  test('is a seventh a day, at least three, and all that are overdue', () => {
    const ids = Array.from({ length: 100 }, (_, index) => `r${index}`);
    const fresh = new Map(ids.map((id) => [id, now - day]));
    expect(dailyCount(ids, fresh, now)).toBe(15);
    expect(dailyCount(ids.slice(0, 4), fresh, now)).toBe(3);
    expect(dailyCount(ids, new Map([...fresh].slice(0, 60)), now)).toBe(40);
    expect(dailyCount(ids, new Map(ids.map((id) => [id, now - 8.1 * day])), now)).toBe(100);
  });

  test('goes through all within a week, whatever the number', () => {
    for (const count of [1, 3, 12, 21, 22, 100]) {
      const ids = Array.from({ length: count }, (_, index) => `r${index}`);
      const done = new Map<string, number>();
      for (let date = 0; date < 30; date++) {
        for (const id of sampleOf(ids, dailyCount(ids, done, date * day), done, new Set()))
          done.set(id, date * day);
        expect(Math.max(...ids.map((id) => date - (done.get(id) ?? -99) / day))).toBeLessThanOrEqual(7);
      }
    }
  });

  test('begins at a minute of its own, once a day, and after a time switched off', () => {
    const minute = minuteOf('one');
    expect(minute).toBe(minuteOf('one'));
    expect(new Set(Array.from({ length: 50 }, (_, index) => minuteOf(`${index}`))).size).toBeGreaterThan(40);
    const begin = Date.parse('2026-11-21T00:00:00Z') + minute * 60_000;
    expect(isDue('one', begin - day, begin - 1)).toBe(false);
    expect(isDue('one', begin - day, begin)).toBe(true);
    expect(isDue('one', begin, begin + day - 1)).toBe(false);
    expect(isDue('one', begin - 3 * day, begin - 1)).toBe(true);
  });
});

const nothing = () => ({ count: 0, items: [] });
const differing = (
  kinds: Partial<Record<Kind, string[]>>,
  artifacts: Partial<Difference['artifacts']> = {},
): Pick<Difference, 'kinds' | 'artifacts'> => ({
  kinds: Object.fromEntries(
    allKinds.map((kind): [Kind, Change] => {
      const items = (kinds[kind] ?? []).map((id) => ({ id }));
      return [kind, { lost: { count: items.length, items }, gained: nothing(), changed: nothing() }];
    }),
  ) as Record<Kind, Change>,
  artifacts: { lost: 0, gained: 0, lostHashes: [], lostPrivate: 0, gainedShunned: [], ...artifacts },
});
const received = (artifacts: string[] = [], unversioned: string[] = []) => ({
  artifacts: new Set(artifacts),
  unversioned: new Set(unversioned),
});

describe('what a push explains', () => {
  test('is what came with it, and what follows from that', () => {
    const push = differing(
      { checkins: ['aa'], tickets: ['t'], branches: ['trunk'] },
      { lostHashes: ['aa', 'bb'] },
    );
    expect(unexplained(push, received(['aa', 'bb']))).toEqual([]);
    expect(unexplained(push, received(['aa']))).toEqual(['1 artifact (bb) missing']);
    const files = differing({ unversioned: ['a.txt', 'b.txt'] });
    expect(unexplained(files, received([], ['a.txt', 'b.txt']))).toEqual([]);
    expect(unexplained(files, received(['aa'], ['b.txt']))).toEqual([
      '1 unversioned file (a.txt) not the same',
    ]);
  });

  test('is no setting, no user, nothing that is only in the replica, and nothing without a push', () => {
    expect(
      unexplained(differing({ settings: ['x'], users: ['u', 'v', 'w', 'z'] }), received(['aa'])),
    ).toEqual(['1 setting (x) not the same', '4 users (u, v, w …) not the same']);
    expect(unexplained(differing({}, { gained: 2 }), received(['aa']))).toEqual([
      '2 artifacts only in the replica',
    ]);
    expect(unexplained(differing({ wiki: ['Home'] }), received())).toEqual([
      '1 wiki page (Home) not the same',
    ]);
  });
});

describe('what is remembered', () => {
  let folder: string;
  let store: Store;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'store-'));
    store = openStore({ database: join(folder, 'fossilrepo.db') });
    for (const name of ['a', 'b'])
      insertRepository(store, {
        id: name,
        name,
        visibility: 'private',
        file: `repos/${name}.fossil`,
        state: 'active',
        createdAt: now - 10 * day,
      });
  });
  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  const add = (database: string, at: number, outcome: Verification['outcome'] = 'ok') => {
    const error = outcome === 'ok' ? null : 'it is so';
    const row = { database, at, outcome, error, txid: 1, artifacts: 2, bytes: 3, fetchMs: 4, checkMs: 5 };
    addVerification(store, row);
    return row;
  };
  const findings = () => verifiedFindings(verifiedLately(store), now).map(({ level, what }) => [level, what]);

  test('is the last answer of each, kept for a year and a hundred times', () => {
    add('a', now - 400 * day);
    expect(add('a', now - 2 * day)).toEqual(lastVerifications(store).get('a'));
    add('a', now - day, 'not done');
    expect(lastVerifications(store).get('a')?.at).toBe(now - 2 * day);
    expect(lastAttempts(store).get('a')).toBe(now - day);
    expect(verificationsOf(store, 'a')).toHaveLength(2);
    for (let index = 0; index < 120; index++) add('a', now - day + index);
    expect(verificationsOf(store, 'a')).toHaveLength(100);
    add('gone', now);
    expect(verificationsOf(store, 'gone')).toEqual([]);
    expect(forgetVerifications(store, 'a')).toBe(100);
  });

  test('nothing is said before the server verifies by itself, then what is late, then what is too late', () => {
    expect(findings()).toEqual([]);
    noteRound(store, now - 1.9 * day);
    expect(verifyingSince(store)).toBe(now - 1.9 * day);
    noteRound(store, now);
    expect(verifyingSince(store)).toBe(now - 1.9 * day);
    expect(findings()).toEqual([]);
    store.database.exec(`UPDATE setting SET value = '${now - 3 * day}' WHERE key = 'verification.since'`);
    expect(findings()).toEqual([['red', 'Not verified for too long: management database, a, b']]);
    for (const id of ['management', 'b']) add(id, now - day);
    add('a', now - 9.1 * day);
    expect(findings()).toEqual([['yellow', 'Not verified for too long: a']]);
    forgetVerifications(store, 'a');
    add('a', now - 15.1 * day);
    expect(findings()).toEqual([['red', 'Not verified for too long: a']]);
    expect(summaryOfVerified(verifiedLately(store), now)).toEqual({
      databases: 3,
      inLastWeek: 2,
      last: new Date(now - day).toISOString(),
    });
  });

  test('one that failed is red until it is well again; that it could not be asked changes nothing', () => {
    add('a', now - day, 'wrong');
    const red = [['red', 'What the replica holds of a failed its verification: it is so']];
    expect(findings()).toEqual(red);
    add('a', now - 0.5 * day, 'not done');
    expect(findings()).toEqual(red);
    expect(summaryOfVerified(verifiedLately(store), now).inLastWeek).toBe(0);
    add('a', now);
    expect(findings()).toEqual([]);
  });
});

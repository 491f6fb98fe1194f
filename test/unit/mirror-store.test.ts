import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import type { Forge } from '../../src/forge.ts';
import { noteFailure, noteSuccess } from '../../src/mirror/outcome.ts';
import { sayDiffering } from '../../src/mirror/difference.ts';
import { bringParts } from '../../src/mirror/parts.ts';
import { RemoteError } from '../../src/mirror/remote/error.ts';
import { lookForGone } from '../../src/mirror/rewound.ts';
import { verifyMirrors } from '../../src/mirror/verify.ts';
import { byVerifyTurn, takeRound } from '../../src/mirror/verify-round.ts';
import { updateMirrorPart } from '../../src/store/mirror-parts.ts';
import { pushedRefs, setPushedRefs } from '../../src/store/mirror-refs.ts';
import {
  findMirror,
  findMirrorById,
  insertMirror,
  mirrorsOf,
  removeMirror,
  servedMirrors,
  updateMirror,
} from '../../src/store/mirrors.ts';
import {
  insertRepository,
  removeRepository,
  type Repository,
  updateRepository,
} from '../../src/store/repositories.ts';
import { beginRestore, endRestore, lastDoneRestore } from '../../src/store/restores.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { cleared } from '../../src/store/tries.ts';
import { addSyncRun, syncRuns } from '../../src/store/sync-runs.ts';

let folder: string;
let store: Store;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-'));
  store = openStore({ database: join(folder, 'fossilrepo.db') });
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const repository = (name: string) => {
  const made = insertRepository(store, {
    id: randomUUID(),
    name,
    visibility: 'private',
    file: `repos/${name}.fossil`,
    state: 'active',
  });
  return made.id;
};
const mirror = (of: string, name: string) =>
  insertMirror(store, {
    id: randomUUID(),
    repository: of,
    name,
    url: 'https://git.example.org/demo.git',
    main: 'main',
    branches: null,
    onDivergence: 'refuse',
    everyMs: 900_000,
    tickets: false,
    wiki: true,
    user: 'git',
    sealedCredential: 'v1.x',
    publicKey: null,
    hostKeys: null,
    createdAt: 5,
  });
const run = (of: string, at: number) => ({
  mirror: of,
  part: 'code' as const,
  at,
  why: 'push',
  error: null,
  refs: [{ ref: 'refs/heads/main', from: null, to: 'c1' }],
  pushed: 1,
  commits: 3,
  bytes: 700,
  ...{ issuesMade: 0, issuesChanged: 0, commentsMade: 0 },
  tookMs: 90,
});
const ref = (name: string, git: string) => ({
  ref: `refs/heads/${name}`,
  git,
  fossil: `f-${git}`,
  name: null,
});

test('a mirror is what it was made, and its name is taken once a repository', () => {
  const [one, two] = [repository('one'), repository('two')];
  const made = mirror(one, 'github');
  expect(made).toMatchObject({ wiki: true, tickets: false, okAt: null, failures: 0, checkins: 0 });
  expect(findMirror(store, one, 'github')).toEqual(made);
  expect(() => mirror(one, 'github')).toThrow('already a mirror github');
  mirror(two, 'github');
  const other = mirror(one, 'other');
  expect(() => updateMirror(store, other.id, { name: 'github' })).toThrow('already a mirror github');
  const changed = { okAt: 7, stamp: 's', branches: 'main,release-*', nextTryAt: null };
  expect(updateMirror(store, made.id, changed)).toEqual({ ...made, ...changed });
  expect(findMirrorById(store, made.id)).toEqual({ ...made, ...changed });
  expect(mirrorsOf(store, one).map(({ name }) => name)).toEqual(['github', 'other']);
});

test('only mirrors of what is in service are served, by name; a renamed repository keeps its own', () => {
  const [zoo, ant] = [repository('zoo'), repository('ant')];
  const made = [mirror(zoo, 'b'), mirror(ant, 'c'), mirror(zoo, 'a')];
  const names = () => servedMirrors(store).map(({ name }) => name);
  expect(names()).toEqual(['c', 'a', 'b']);
  updateRepository(store, zoo, { name: 'aardvark', file: 'repos/aardvark.fossil' });
  expect(names()).toEqual(['a', 'b', 'c']);
  updateRepository(store, zoo, { state: 'trashed', deletedAt: 9 });
  expect(names()).toEqual(['c']);
  expect(mirrorsOf(store, zoo)).toHaveLength(2);
  updateRepository(store, zoo, { state: 'active', deletedAt: null });
  expect(names()).toEqual(['a', 'b', 'c']);
  expect(made).toHaveLength(3);
});

test('what was pushed is replaced whole', () => {
  const { id } = mirror(repository('demo'), 'github');
  setPushedRefs(store, id, [ref('main', 'c1'), ref('old', 'c2')]);
  setPushedRefs(store, id, [ref('main', 'c3'), ref('new', 'c2')]);
  expect(pushedRefs(store, id)).toEqual([ref('main', 'c3'), ref('new', 'c2')]);
});

test('a restore is blamed for check-ins that are gone only when it came after the last success', () => {
  const made = mirror(repository('demo'), 'github');
  const restore = { kind: 'restore', at: 3, undoFile: null, receipt: 1, was: 'whole' } as const;
  const refs = [ref('main', 'c1'), ref('old', 'c2')];
  const wanted = new Map(refs.map(({ ref, git }) => [ref, git]));
  const blamed = (okAt: number | null) =>
    lookForGone({ store }, { ...made, okAt }, refs, wanted, new Map([['f-c1', 'c1']])).rewound;
  expect(blamed(7)).toBeUndefined();
  const of = made.repository;
  beginRestore(store, { ...restore, id: 'done', repository: of });
  endRestore(store, 'done', { outcome: 'done', interrupted: false });
  // One that was tried since and came to nothing changed nothing.
  beginRestore(store, { ...restore, id: 'not', repository: of, at: 4 });
  endRestore(store, 'not', { outcome: 'not done', interrupted: false });
  const endedAt = lastDoneRestore(store, of)?.endedAt ?? 0;
  const found = { at: endedAt, to: 3 };
  expect([blamed(endedAt - 1), blamed(null)]).toEqual([found, found]);
  expect([blamed(endedAt), blamed(endedAt + 1)]).toEqual([undefined, undefined]);
  const all = new Map([
    ['f-c1', 'c1'],
    ['f-c2', 'c2'],
  ]);
  const gone = (now: ReadonlyMap<string, string>, okAt: number) =>
    lookForGone({ store }, { ...made, okAt }, [...refs, tag], now, all);
  const tag = { ...ref('v1', 'c1'), ref: 'refs/tags/v1' };
  const withTag = new Map([...wanted, [tag.ref, 'c1']]);
  // Nothing is gone, or a tag alone, or what a tag leads to.
  expect(gone(withTag, endedAt - 1)).toEqual({ rewound: undefined, lost: [] });
  expect(gone(wanted, endedAt - 1).rewound).toEqual(found);
  expect(gone(new Map([...wanted, [tag.ref, 'c2']]), endedAt - 1).rewound).toEqual(found);
  // A branch that went on is not gone.
  expect(gone(new Map([...withTag, ['refs/heads/main', 'c9']]), endedAt - 1).rewound).toBeUndefined();
  // Without a restore what is lost is named, and a tag is anybody's to take away.
  expect(lookForGone({ store }, { ...made, okAt: endedAt }, refs, wanted, new Map()).lost).toEqual(refs);
  expect(gone(wanted, endedAt)).toEqual({ rewound: undefined, lost: [] });
  // One that is at work yet may have exchanged the file.
  beginRestore(store, { ...restore, id: 'open', repository: of, at: 5 });
  expect(blamed(endedAt + 1)).toMatchObject({ to: 5 });
});

test('once a day it is time to verify a seventh of what has mirrors, whose turn was longest ago first', () => {
  const hour = 3_600_000;
  const begun = 500 * 24 * hour;
  // Not on the day that it begins, and without mirrors never.
  expect([0, 23, 24].map((hours) => takeRound({ store }, begun + hours * hour))).toEqual([0, 0, 0]);
  for (let n = 1; n <= 8; n++) {
    const of = repository(`r${n}`);
    for (const name of ['github', 'other'])
      updateMirror(store, mirror(of, name).id, { verifyTriedAt: n === 5 ? null : (9 - n) * hour });
  }
  const late = mirror(repository('late'), 'github');
  updateMirror(store, late.id, { verifyTriedAt: 9 * hour });
  // A second mirror of what was verified was never.
  mirror(late.repository, 'new');
  repository('unmirrored');
  const next = begun + 48 * hour;
  expect([-1, 0, 1, 23, 24].map((hours) => takeRound({ store }, next + hours * hour))).toEqual([
    0, 2, 0, 0, 2,
  ]);
  // A clock that was set back puts it off by a day at most.
  expect([0, 23].map((hours) => takeRound({ store }, begun + hours * hour))).toEqual([2, 0]);
  const order = byVerifyTurn({ store }).map(({ row, mirrors }) => [row.name, mirrors.length]);
  expect(order.slice(0, 2).toSorted()).toEqual([
    ['late', 2],
    ['r5', 2],
  ]);
  expect(order.slice(2).map(([name]) => name)).toEqual(['r8', 'r7', 'r6', 'r4', 'r3', 'r2', 'r1']);
});

test('a repository that can not be compared has had its turn, and is not taken for verified', async () => {
  const paths = pathsUnder(folder);
  for (const name of ['failing', 'other']) mirror(repository(name), 'github');
  for (const next of ['failing', 'other']) {
    const [first] = byVerifyTurn({ store });
    expect(first?.row.name).toBe(next);
    if (first === undefined) continue;
    // Nothing of it is here.
    await expect(verifyMirrors({ store, paths } as Forge, first.row, first.mirrors, 1)).rejects.toThrow(
      'is not there or cannot be opened',
    );
    expect(mirrorsOf(store, first.row.id)).toMatchObject([{ verifiedAt: null, verifyError: null }]);
  }
});

test('a purged repository leaves nothing, nor does a removed mirror, and nothing is remembered of it afterwards', () => {
  const of = repository('demo');
  const [kept, gone] = [mirror(of, 'kept'), mirror(of, 'gone')];
  const count = () =>
    ['mirror', 'mirror_ref', 'sync_run'].map((table) =>
      Number(store.database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']),
    );
  for (const { id } of [kept, gone]) {
    setPushedRefs(store, id, [ref('main', 'c1')]);
    addSyncRun(store, run(id, 10));
  }
  expect(removeMirror(store, gone.id)).toBe(true);
  expect(count()).toEqual([1, 1, 1]);
  setPushedRefs(store, gone.id, [ref('main', 'c1')]);
  addSyncRun(store, run(gone.id, 10));
  expect(updateMirror(store, gone.id, { okAt: 1 })).toBeUndefined();
  expect(count()).toEqual([1, 1, 1]);
  removeRepository(store, of);
  expect(count()).toEqual([0, 0, 0]);
});

test('runs are kept for 90 days, the newest first, with a hundred refs each', () => {
  const { id } = mirror(repository('demo'), 'github');
  const day = 24 * 3_600_000;
  addSyncRun(store, run(id, 1));
  const refs = Array.from({ length: 300 }, (_, n) => ({ ref: `refs/tags/${n}`, from: 'a', to: null }));
  addSyncRun(store, { ...run(id, 90 * day), error: 'it is down', refs, pushed: 300 });
  expect(syncRuns(store, { mirror: id }).map(({ at }) => at)).toEqual([90 * day, 1]);
  addSyncRun(store, run(id, 90 * day + 2));
  const [newest, former, ...older] = syncRuns(store, { mirror: id });
  expect(newest).toEqual({ ...run(id, 90 * day + 2), repository: 'demo', mirror: 'github' });
  expect(former).toMatchObject({ error: 'it is down', pushed: 300 });
  expect(former?.refs).toHaveLength(100);
  expect(older).toEqual([]);
});

test('the log is of all that is in service, of one repository, of one mirror, since an instant, of each part', () => {
  const [one, two] = [repository('one'), repository('two')];
  const [first, other, third] = [mirror(one, 'first'), mirror(one, 'other'), mirror(two, 'third')];
  const made = { issuesMade: 2, issuesChanged: 1, commentsMade: 3 };
  addSyncRun(store, run(first.id, 10));
  addSyncRun(store, { ...run(first.id, 20), part: 'wiki' });
  addSyncRun(store, { ...run(other.id, 30), part: 'tickets', refs: [], pushed: 0, bytes: null, ...made });
  addSyncRun(store, run(third.id, 40));
  const read = (of: Parameters<typeof syncRuns>[1]) =>
    syncRuns(store, of).map(({ repository, mirror, part, at }) => [repository, mirror, part, at]);
  const all = [
    ['two', 'third', 'code', 40],
    ['one', 'other', 'tickets', 30],
    ['one', 'first', 'wiki', 20],
    ['one', 'first', 'code', 10],
  ];
  expect(read({})).toEqual(all);
  expect(read({ repository: one })).toEqual(all.slice(1));
  expect(read({ mirror: first.id })).toEqual(all.slice(2));
  expect(read({ mirror: first.id, limit: 1 })).toEqual(all.slice(2, 3));
  expect(read({ since: 20 })).toEqual(all.slice(0, 3));
  expect(syncRuns(store, { mirror: other.id })).toMatchObject([{ refs: [], bytes: null, ...made }]);
  updateRepository(store, one, { state: 'trashed', deletedAt: 50 });
  expect(read({})).toEqual(all.slice(0, 1));
});

test('a part that waits for a hand has nothing looked at again, whatever time it once got', async () => {
  const id = repository('demo');
  const row = mirror(id, 'host');
  updateMirror(store, row.id, { okAt: 1, comparedAt: 1, stamp: 'now' });
  const bring = () =>
    bringParts({ store } as unknown as Forge, { id, name: 'demo' } as unknown as Repository, row.id, {
      stamp: 'now',
      why: 'push',
    });
  setPushedRefs(store, row.id, [ref('main', 'c1')]);
  const refused = { error: 'refused the token', errorKind: 'credential', failingSince: 1, failures: 1 };
  updateMirrorPart(store, row.id, 'wiki', { ...refused, stamp: 'now', nextTryAt: Date.now() - 1 });
  expect(await bring()).toEqual([]);
  expect(findMirrorById(store, row.id)?.nextTryAt).toBeNull();
  // One that was only put off is.
  const soon = Date.now() + 60_000;
  updateMirrorPart(store, row.id, 'wiki', { ...cleared, nextTryAt: soon });
  expect(await bring()).toEqual([]);
  expect(findMirrorById(store, row.id)?.nextTryAt).toBe(soon);
});

test('that a restore took something from a mirror is known also when another ref was refused in the same run', () => {
  const id = repository('demo');
  const row = mirror(id, 'host');
  const brought = {
    ...{ refs: [], commits: 0, bytes: 0, compared: true, lost: [], overwrote: [], error: undefined },
    rewound: { at: 5_000, to: 3_000 },
  };
  noteFailure(
    { store },
    { row: { id, name: 'demo' }, mirror: row, why: 'push', begunAt: 9_000, tookMs: 10 },
    new RemoteError('diverged', 'It has what was not pushed from here.'),
    brought,
  );
  expect(findMirrorById(store, row.id)).toMatchObject({ rewoundAt: 5_000, rewoundTo: 3_000 });
  expect(findMirrorById(store, row.id)?.error).toContain('not pushed from here');
});

test('what a verification found of refs is healed by a comparison that went well; of contents only by another verification', () => {
  const id = repository('demo');
  const row = mirror(id, 'host');
  const about = (verifyError: string, compared: boolean) => {
    updateMirror(store, row.id, { verifyError });
    noteSuccess(
      { store },
      { row: { id, name: 'demo' }, mirror: row, why: 'comparison', begunAt: 9_000, tookMs: 10 },
      { stamp: 'now', checkins: 1, waiting: 0 },
      {
        ...{ refs: [], commits: 0, bytes: 0, compared, lost: [], overwrote: [] },
        rewound: undefined,
        error: undefined,
      },
    );
    return findMirrorById(store, row.id)?.verifyError;
  };
  const refs =
    sayDiffering([ref('main', 'c1'), ref('side', 'c2')], new Map([['refs/heads/side', 'c3']])) ?? '';
  expect(refs).toBe('refs/heads/main is missing there, not c1; refs/heads/side is c3 there, not c2');
  expect(about(refs, true)).toBeNull();
  expect(about(refs, false)).toBe(refs);
  const contents = 'check-in 1a2b has other files, names or modes in Git (c1)';
  expect(about(contents, true)).toBe(contents);
});

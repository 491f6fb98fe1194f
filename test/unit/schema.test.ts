import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newestEvents } from '../../src/store/events.ts';
import { findGitImport } from '../../src/store/git-imports.ts';
import { identsOf } from '../../src/store/idents.ts';
import { listMembers } from '../../src/store/members.ts';
import { pushedRefs } from '../../src/store/mirror-refs.ts';
import { servedMirrors } from '../../src/store/mirrors.ts';
import { allRepositories } from '../../src/store/repositories.ts';
import { restoresOf } from '../../src/store/restores.ts';
import { migrations } from '../../src/store/schema.ts';
import { instanceId, openStore } from '../../src/store/store.ts';
import { syncRuns } from '../../src/store/sync-runs.ts';
import { lastVerifications } from '../../src/store/verifications.ts';

/** What a server may have in the tables that each version brought, as that version wrote it. A new version adds its own. */
const written: readonly string[] = [
  `
  INSERT INTO setting(key, value) VALUES ('instance', 'one'), ('administrator-password-shown', '2026-11-21T13:00:00.000Z');
  INSERT INTO repository(id, name, state, visibility, description, archived, hidden, file, created_at, deleted_at) VALUES
    ('r1', 'demo', 'active', 'public', 'A demo', 0, 0, 'repos/demo.fossil', 5, NULL),
    ('r2', 'demo', 'trashed', 'private', '', 1, 0, 'work/trash/r2.fossil', 4, 6),
    ('r3', 'canary', 'active', 'private', '', 0, 1, 'repos/canary.fossil', 3, NULL);
  INSERT INTO member(id, login, display_name, administrator, password_hash, sealed_token, created_at, disabled_at) VALUES
    (1, 'admin', 'Ada', 1, 'h', 's', 1, NULL), (7, 'eve', '', 0, 'h', 's', 2, 3);
  INSERT INTO session(token_hash, member, created_at, expires_at) VALUES ('t', 1, 2, 3);
  INSERT INTO event(id, at, repository, kind, text) VALUES (4, 1, 'r1', 'adopted', 'demo'), (9, 2, NULL, 'started', 'it');
  `,
  `
  INSERT INTO high_water(id, txid) VALUES ('r1', 12), ('management', 99);
  INSERT INTO restore(id, repository, kind, at, begun_at, ended_at, outcome, interrupted, undo_file, receipt) VALUES
    ('a', 'r1', 'restore', 1, 2, 3, 'done', 0, 'work/undo/a.fossil', 8), ('b', 'r1', 'undo', 2, 4, NULL, NULL, 0, NULL, 9);
  `,
  `
  INSERT INTO verification(id, database, at, outcome, error, txid, artifacts, bytes, fetch_ms, check_ms) VALUES
    (3, 'r1', 1, 'wrong', 'a byte', 5, 6, 7, 8, 9), (4, 'management', 2, 'ok', NULL, 5, 0, 7, 8, 9);
  `,
  `
  INSERT INTO mirror(id, repository, name, url, main, on_divergence, every_ms, tickets, wiki, sealed_credential, created_at, ok_at,
    checkins, error, error_kind, failures, failing_since, verified_at) VALUES
    ('m1', 'r1', 'origin', 'https://git.example.org/demo.git', 'main', 'refuse', 900000, 0, 1, 'v1.x', 5, 6, 2, NULL, NULL, 0, NULL, 4),
    ('m2', 'r1', 'other', '/srv/demo.git', 'trunk', 'keep', 900000, 0, 0, NULL, 5, NULL, 0, 'gone', 'host', 3, 7, NULL);
  INSERT INTO mirror_ref(mirror, ref, git, fossil, name) VALUES ('m1', 'refs/heads/main', 'g', 'f', 'trunk');
  INSERT INTO sync_run(id, mirror, at, why, error, refs, pushed, commits, bytes, took_ms) VALUES (2, 'm1', 6, 'push', NULL, '[]', 1, 2, 3, 4);
  `,
  `
  INSERT INTO ident(repository, login, name, mail) VALUES ('r1', 'ada', 'Ada', 'ada@example.com');
  `,
  `
  INSERT INTO mirror_host(mirror, kind, api, path, sealed_token, expires_at, asked_at) VALUES ('m1', 'github', 'a', 'p', 's', 1, 2);
  INSERT INTO mirror_part(mirror, part, place, ref, git, stamp, tried_at, ok_at, count, error, error_kind, failures, failing_since)
    VALUES ('m1', 'wiki', 'branch', 'refs/heads/wiki', 'g', 's', 1, 2, 3, NULL, NULL, 0, NULL);
  INSERT INTO mirror_issue(mirror, ticket, issue, rev) VALUES ('m1', 't', 5, 'r');
  `,
  `
  INSERT INTO upstream(id, repository, kind, url, every_ms, created_at, failures) VALUES ('u', 'r1', 'git', '/srv/up.git', 900000, 5, 0);
  INSERT INTO git_import(repository, main, commits, intended) VALUES ('r1', 'main', 2, NULL);
  INSERT INTO import_mark(repository, git, fossil) VALUES ('r1', 'g', 'f');
  INSERT INTO import_ref(repository, ref, git) VALUES ('r1', 'refs/heads/main', 'g');
  `,
  `
  INSERT INTO sync_run(id, mirror, part, at, why, error, refs, pushed, commits, bytes, issues_made, issues_changed, comments_made, took_ms)
    VALUES (5, 'm1', 'tickets', 7, 'asked', NULL, '[]', 0, 0, NULL, 1, 2, 3, 4);
  `,
  `
  INSERT INTO restore(id, repository, kind, at, begun_at, ended_at, outcome, interrupted, undo_file, receipt, was) VALUES
    ('c', 'r1', 'restore', 1, 5, 6, 'done', 0, 'work/undo/c.fossil', 8, 'damaged');
  `,
  `
  UPDATE mirror SET verify_tried_at = 9 WHERE id = 'm2';
  `,
];

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'schema-'));
  file = join(folder, 'fossilrepo.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The management database as that version of its tables left it. */
function makeDatabase(version: number): void {
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: true });
  database.exec('PRAGMA journal_mode = WAL');
  for (const [index, sql] of migrations.slice(0, version).entries())
    database.exec(`${sql}; ${written[index] ?? ''}`);
  database.exec(`PRAGMA user_version = ${version}`);
  database.close();
}

const tablesOf = (database: DatabaseSync): string[] =>
  database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name")
    .all()
    .map((row) => String(row['name']));
const schemaOf = (database: DatabaseSync) =>
  database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all();
const columnsOf = (database: DatabaseSync, table: string) =>
  database
    .prepare('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map((row) => String(row['name']))
    .join(', ');
const rowsOf = (database: DatabaseSync, table: string, columns: string) =>
  database.prepare(`SELECT ${columns} FROM ${table} ORDER BY ${columns}`).all();

const versions = migrations.map((_, index) => index + 1);

test.each(versions)('a database of version %i is opened, and everything in it is there', (version) => {
  makeDatabase(version);
  const before = new DatabaseSync(file, { readOnly: true });
  const had = tablesOf(before).map((table) => {
    const columns = columnsOf(before, table);
    return { table, columns, rows: rowsOf(before, table, columns) };
  });
  before.close();
  expect(had.filter(({ rows }) => rows.length === 0)).toEqual([]);

  using store = openStore({ database: file }, { create: false });
  for (const { table, columns, rows } of had)
    expect(rowsOf(store.database, table, columns), table).toEqual(rows);
  const fresh = openStore({ database: join(folder, 'fresh.db') });
  expect(schemaOf(store.database)).toEqual(schemaOf(fresh.database));
  fresh.close();
  expect(store.database.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length });
  expect(store.database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  expect(store.database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);

  // As the program reads it.
  const since = (first: number, count: number) => (version >= first ? count : 0);
  expect(instanceId(store)).toBe('one');
  expect(allRepositories(store).map(({ id }) => id)).toEqual(expect.arrayContaining(['r1', 'r2', 'r3']));
  expect(listMembers(store, { disabled: true }).map(({ login }) => login)).toEqual(['admin', 'eve']);
  expect(newestEvents(store, 9)).toHaveLength(2);
  expect(restoresOf(store, 'r1').map(({ was }) => was)).toEqual([
    ...(version >= 2 ? ['whole', 'whole'] : []),
    ...(version >= 9 ? ['damaged'] : []),
  ]);
  expect(lastVerifications(store).size).toBe(since(3, 2));
  expect(servedMirrors(store).map(({ verifyTriedAt }) => verifyTriedAt)).toEqual(
    version < 4 ? [] : [4, version < 10 ? null : 9],
  );
  expect(pushedRefs(store, 'm1')).toHaveLength(since(4, 1));
  expect(syncRuns(store, {}).map(({ part }) => part)).toEqual([
    ...(version >= 8 ? ['tickets'] : []),
    ...(version >= 4 ? ['code'] : []),
  ]);
  expect(identsOf(store, 'r1').size).toBe(since(5, 1));
  expect(findGitImport(store, 'r1')).toEqual(
    version >= 7 ? expect.objectContaining({ main: 'main' }) : undefined,
  );
});

test('every version has rows to be found again', () => {
  expect(written).toHaveLength(migrations.length);
});

test('what a version brought is never changed: servers have those tables', () => {
  const digests = migrations.map((sql) => createHash('sha256').update(sql).digest('hex').slice(0, 16));
  expect(digests).toEqual([
    '382318e4a875f5ee',
    'd0a66c618eec9fe6',
    'e748565937e8a219',
    'b0c976dcf4ec3739',
    'ca0760402b0f7f1f',
    'bb3822137ec05b54',
    '0b4cf86774776e6c',
    '7fa68c86ccff650b',
    '0cf7c2feb290c55e',
    '98c3d448ae7a45a9',
  ]);
});

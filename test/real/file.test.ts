import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspectCandidate } from '../../src/repos/candidate.ts';
import { drainDatabase } from '../../src/repos/drain.ts';
import { readRepository, repositoryId, setIdentity } from '../../src/repos/file.ts';
import { commitFile, initRepository, query } from './support/fossil-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-'));
const home = join(folder, 'home');
const empty = join(folder, 'empty.fossil');
const used = join(folder, 'used.fossil');
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  await initRepository(empty, home);
  await initRepository(used, home);
  await commitFile(used, home, 'a.txt', 'a');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('reading', () => {
  test('tells what a repository says about itself', () => {
    const facts = readRepository(used);
    expect(facts).toMatchObject({ id: undefined, projectName: 'demo', description: '', checkins: 2 });
    expect(facts.projectCode).toMatch(/^[0-9a-f]{40}$/);
    expect(facts.bytes).toBe(statSync(used).size);
    expect(Math.abs(Date.now() - (facts.lastActivity ?? 0))).toBeLessThan(60_000);
    expect(readRepository(empty).checkins).toBe(1);
  });

  test('counts the write-ahead log, and does not mind a writer', () => {
    const file = at('busy.fossil');
    copyFileSync(used, file);
    using writer = new DatabaseSync(file);
    writer.exec(
      "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; INSERT INTO config VALUES ('x', zeroblob(90000), 0)",
    );
    expect(readRepository(file).checkins).toBe(2);
    writer.exec('COMMIT');
    expect(readRepository(file).bytes).toBeGreaterThan(statSync(file).size + 90_000);
  });

  test('500 in under a second', () => {
    const files = Array.from({ length: 500 }, (_, n) => at(`many-${n}.fossil`));
    for (const file of files) copyFileSync(used, file);
    const started = performance.now();
    for (const file of files) readRepository(file);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('refuses what is none, without making it', () => {
    expect(() => readRepository(at('missing.fossil'))).toThrow('is not there');
    expect(existsSync(at('missing.fossil'))).toBe(false);
    writeFileSync(at('text.fossil'), 'hello '.repeat(500));
    expect(() => readRepository(at('text.fossil'))).toThrow('not a Fossil repository');
    using other = new DatabaseSync(at('other.db'));
    other.exec('CREATE TABLE t(x)');
    expect(() => repositoryId(at('other.db'))).toThrow('not a complete Fossil repository');
  });
});

test('an identity is written once', () => {
  const id = '6b1c5a52-5a0e-4f43-9e2b-2c1e0a2d8a11';
  expect(repositoryId(empty)).toBeUndefined();
  expect(setIdentity(empty, { id, name: 'Ünï', description: '--args\n<b>' })).toBe(true);
  expect(setIdentity(empty, { id, name: 'Ünï' })).toBe(false);
  expect(readRepository(empty)).toMatchObject({ id, projectName: 'Ünï', description: '--args\n<b>' });
  expect(query(empty, "SELECT typeof(mtime) AS t FROM config WHERE name = 'fossilrepo-id'")).toEqual([
    { t: 'integer' },
  ]);
});

describe('what was put into the folder', () => {
  test('is told apart', () => {
    const make = (name: string, how: (path: string) => unknown) => {
      how(at(name));
      return inspectCandidate(at(name));
    };
    expect(inspectCandidate(used)).toBe('repository');
    expect(inspectCandidate(at('nothing'))).toBe('missing');
    expect(make('link.fossil', (path) => symlinkSync(used, path))).toBe('symlink');
    expect(make('dangling.fossil', (path) => symlinkSync('/nonexistent', path))).toBe('symlink');
    expect(make('folder.fossil', (path) => mkdirSync(path))).toBe('special');
    expect(make('pipe.fossil', (path) => execFileSync('mkfifo', [path]))).toBe('special');
    expect(make('zero.fossil', (path) => writeFileSync(path, ''))).toBe('incomplete');
    expect(make('short.fossil', (path) => writeFileSync(path, readFileSync(used).subarray(0, 50)))).toBe(
      'incomplete',
    );
    expect(make('words.fossil', (path) => writeFileSync(path, 'hello'))).toBe('not-a-repository');
    expect(make('page.fossil', (path) => writeFileSync(path, '<html>'.repeat(100)))).toBe('not-a-repository');
    expect(make('hard.fossil', (path) => linkSync(used, path))).toBe('repository');
  });

  test('is incomplete until its last page is there', () => {
    const file = at('copied.fossil');
    const { size } = statSync(used);
    for (const length of [4096, size - 4096, size - 1]) {
      copyFileSync(used, file);
      truncateSync(file, length);
      expect(inspectCandidate(file)).toBe('incomplete');
    }
  });

  test('is no repository when Fossil would not know it', () => {
    using other = new DatabaseSync(at('other.fossil'));
    other.exec('CREATE TABLE config(name, value)');
    expect(inspectCandidate(at('other.fossil'))).toBe('not-a-repository');
    using clock = new DatabaseSync(at('view.fossil'));
    for (const name of ['blob', 'delta', 'event', 'rcvfrom', 'user']) clock.exec(`CREATE TABLE ${name}(x)`);
    clock.exec(
      `CREATE VIEW config AS WITH RECURSIVE n(name, value) AS (VALUES ('project-code', 1) UNION ALL SELECT 'x', value + 1 FROM n) SELECT * FROM n`,
    );
    expect(inspectCandidate(at('view.fossil'))).toBe('not-a-repository');
  });

  test('is looked at again when it is locked', () => {
    const file = at('locked.fossil');
    copyFileSync(used, file);
    using writer = new DatabaseSync(file);
    writer.exec('BEGIN EXCLUSIVE');
    expect(inspectCandidate(file)).toBe('busy');
    writer.exec('ROLLBACK');
    expect(inspectCandidate(file)).toBe('repository');
  });
});

test('who holds a file for a moment is waited for before it is made one file', async () => {
  const file = at('held.fossil');
  copyFileSync(used, file);
  const holder = new DatabaseSync(file);
  holder.exec('PRAGMA journal_mode = WAL; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT');
  // Not even its schema can be read meanwhile.
  await expect(drainDatabase(file, 0)).rejects.toThrow('is still in use after 0 s');
  const drained = drainDatabase(file, 60_000);
  holder.close();
  await drained;
  expect(query(file, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'delete' }]);
});

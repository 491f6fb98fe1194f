import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkClone } from '../../src/backup/verify/clone.ts';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { OperatorError } from '../../src/errors.ts';
import { fossilEnvironment, fossilTestIntegrity } from '../../src/programs/fossil.ts';
import { readTestIntegrity } from '../../src/programs/fossil-integrity.ts';
import { verifyRepository } from '../../src/repos/verify.ts';
import { run } from '../../src/system/run.ts';
import { commitFile, initRepository, query } from './support/fossil-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'verify-'));
const home = join(folder, 'home');
const good = join(folder, 'good.fossil');
const verify = (file: string) => verifyRepository(run, { program: 'fossil', home }, file);

beforeAll(async () => {
  await initRepository(good, home);
  await commitFile(good, home, 'story.txt', 'once upon a time '.repeat(200));
  const notes: [string, Buffer | string][] = [
    ['text.txt', 'all work and no play '.repeat(500)],
    ['noise.bin', randomBytes(5_000)],
    ['empty.txt', ''],
  ];
  for (const [name, content] of notes) {
    const file = join(folder, name);
    writeFileSync(file, content);
    await run({
      argv: ['fossil', 'uv', 'add', file, '--as', name, '-R', good],
      env: { ...fossilEnvironment(home), USER: 'admin' },
    });
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const copy = (name: string): string => {
  const file = join(folder, name);
  copyFileSync(good, file);
  return file;
};
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

test('a good repository has no errors and is not written to', async () => {
  const before = digest(good);
  expect(await verify(good)).toEqual({ artifacts: 3, unversioned: 3, waiting: 0, errors: [] });
  expect(digest(good)).toBe(before);
});

describe('a small one is read without Fossil', () => {
  const nobody = () => Promise.reject(new Error('Fossil was asked'));
  const alone = (file: string) => verifyRepository(nobody, { program: 'fossil', home }, file);
  const chained = join(folder, 'chained.fossil');
  beforeAll(async () => {
    copyFileSync(good, chained);
    const lines = Array.from(
      { length: 400 },
      (_, number) => `line ${number} ${randomBytes(9).toString('hex')}`,
    );
    for (const number of [10, 200, 390, 0]) {
      lines[number] = `changed ${number}`;
      await commitFile(chained, home, 'long.txt', lines.join('\n'));
    }
  });

  test('with as many artifacts as Fossil counts, deltas of deltas among them', async () => {
    expect(
      query(chained, 'SELECT 1 FROM delta WHERE srcid IN (SELECT rid FROM delta)').length,
    ).toBeGreaterThan(0);
    const { artifacts } = readTestIntegrity(
      (await run(fossilTestIntegrity('fossil', { file: chained, home }))).stdout,
    );
    expect(artifacts).toBe(11);
    expect(await alone(chained)).toEqual({ artifacts, unversioned: 3, waiting: 0, errors: [] });
  });

  test('and Fossil is asked when any byte of any artifact differs, when one is private, and when there is much', async () => {
    const blobs = query(chained, 'SELECT rid, length(content) AS bytes FROM blob');
    for (const { rid, bytes } of blobs)
      for (const place of [2, 5, Math.floor(Number(bytes) / 2), Number(bytes) - 1]) {
        const file = join(folder, 'flipped.fossil');
        copyFileSync(chained, file);
        using database = new DatabaseSync(file);
        const row = database.prepare('SELECT content FROM blob WHERE rid = ?').get(Number(rid));
        const content = Buffer.from(row?.['content'] as Uint8Array);
        content[place] = (content[place] ?? 0) ^ 0x10;
        database.prepare('UPDATE blob SET content = ? WHERE rid = ?').run(content, Number(rid));
        await expect(alone(file), `byte ${place} of artifact ${String(rid)}`).rejects.toThrow(
          'Fossil was asked',
        );
      }
    const file = join(folder, 'private.fossil');
    copyFileSync(chained, file);
    query(file, 'INSERT INTO private SELECT srcid FROM delta LIMIT 1');
    expect((await verify(file)).errors.join()).toContain('is a delta from private artifact');
    const long = join(folder, 'long.fossil');
    copyFileSync(chained, long);
    await commitFile(long, home, 'noise.bin', randomBytes(2_000_000));
    await expect(alone(long)).rejects.toThrow('Fossil was asked');
    expect(await verify(long)).toMatchObject({ artifacts: 13, errors: [] });
  });
});

test('what waits for the rest of its push is no damage; what became unreadable is', async () => {
  const file = copy('waiting.fossil');
  await commitFile(file, home, 'story.txt', 'once upon a time '.repeat(201));
  const [chain] = query(file, 'SELECT rid, srcid FROM delta LIMIT 1');
  const source = Number(chain?.['srcid']);
  // As content_new (content.c) leaves what a push has only named so far.
  query(file, `UPDATE blob SET size = -1, content = NULL WHERE rid = ${source}`);
  expect((await verify(file)).errors.join()).toContain(`artifact ${String(chain?.['rid'])}`);
  query(file, `INSERT INTO phantom VALUES (${source})`);
  expect(await verify(file)).toEqual({ artifacts: 3, unversioned: 3, waiting: 1, errors: [] });
});

test('one in WAL mode keeps what is only in its log', async () => {
  const file = copy('wal.fossil');
  using server = new DatabaseSync(file);
  server.exec("PRAGMA journal_mode = WAL; INSERT INTO config VALUES ('late', 'yes', 0)");
  expect((await verify(file)).errors).toEqual([]);
  expect(query(file, "SELECT value FROM config WHERE name = 'late'")).toEqual([{ value: 'yes' }]);
  expect(query(file, 'PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
});

test('one that is not there is an error, not an answer', async () => {
  await expect(verify(join(folder, 'none.fossil'))).rejects.toThrow('is not there');
});

describe('damage is found and named', () => {
  test('in an artifact, where SQLite sees nothing', async () => {
    const file = copy('artifact.fossil');
    query(
      file,
      "UPDATE blob SET content = (SELECT content FROM blob WHERE rid = 1), size = (SELECT size FROM blob WHERE rid = 1) WHERE rid = (SELECT fid FROM mlink JOIN filename USING (fnid) WHERE name = 'story.txt')",
    );
    expect(query(file, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    const { errors } = await verify(file);
    expect(errors).toEqual([
      expect.stringMatching(/^artifact [0-9a-f]{64} \(story\.txt\): wrong hash on artifact \d+$/),
    ]);
  });

  test.each([
    ['other content', 'text.txt', "(SELECT content FROM unversioned WHERE name = 'noise.bin')"],
    ['a cut', 'text.txt', 'substr(content, 1, 20)'],
    ['nothing', 'text.txt', 'NULL'],
    ['a changed byte', 'noise.bin', "substr(content, 1, 99) || x'00' || substr(content, 101)"],
  ])('in an unversioned file: %s', async (_, name, content) => {
    const file = copy(`unversioned-${name}.fossil`);
    query(file, `UPDATE unversioned SET content = CAST(${content} AS BLOB) WHERE name = '${name}'`);
    const { errors } = await verify(file);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(new RegExp(`^unversioned file ${name}: `));
  });

  test('in the database', async () => {
    const file = copy('pages.fossil');
    using database = new DatabaseSync(file, { defensive: false });
    database.exec('DELETE FROM unversioned; VACUUM; PRAGMA writable_schema = ON');
    database.exec(
      "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'event_i1') WHERE name = 'mlink_i1'",
    );
    database.close();
    expect((await verify(file)).errors.join()).toMatch(/^database: /);
  });

  test('so bad that Fossil stops', async () => {
    const file = copy('torn.fossil');
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4096 * 3, bytes.length - 4096);
    writeFileSync(file, bytes);
    expect((await verify(file)).errors.length).toBeGreaterThan(0);
  });
});

describe('a clone of it', () => {
  const clone = async (change: string): Promise<string> => {
    const file = copy('cloned.fossil');
    using database = new DatabaseSync(file);
    if (change !== '') database.exec(change);
    const config = parseConfig('programs: { fossil: /usr/bin/fossil }', pathsUnder(folder));
    try {
      await checkClone({ run, config }, 'demo', file, home);
      return 'works';
    } catch (error) {
      return error instanceof OperatorError && error.exit === 'check' ? error.message : String(error);
    } finally {
      rmSync(file);
    }
  };
  const first = '(SELECT rid FROM blob JOIN mlink ON fid = rid LIMIT 1)';

  test.each([
    ['', /^works$/],
    // What nobody else may have, is not missed.
    [`INSERT INTO private VALUES (${first})`, /^works$/],
    ["DELETE FROM config WHERE name = 'project-code'", /comes out of a clone as another project/],
    ['PRAGMA foreign_keys = OFF; DROP TABLE user', /can't be cloned: ./],
    [
      `INSERT INTO event(type, mtime, objid) VALUES ('ci', julianday('now'), ${first})`,
      /^demo as it is in the replica loses 1 check-ins in a clone \([0-9a-f]{40,}\)\.$/,
    ],
  ])('%s', async (change, said) => {
    expect(await clone(change)).toMatch(said);
    expect(existsSync(join(home, 'clone.fossil'))).toBe(false);
  });
});

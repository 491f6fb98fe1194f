import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { projectAccess } from '../../src/access/project.ts';
import { fossilEnvironment } from '../../src/programs/fossil.ts';
import { sanitise } from '../../src/repos/sanitise.ts';
import { verifyRepository } from '../../src/repos/verify.ts';
import { newToken } from '../../src/secrets/passwords.ts';
import { run } from '../../src/system/run.ts';
import { commitFile, initRepository, query, type Served, serve } from './support/fossil-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'sanitise-'));
const home = join(folder, 'home');
const repos = join(folder, 'repos');
const bare = join(folder, 'bare.fossil');
const marker = join(folder, 'hook-ran');
let served: Served;
let file: string;
let number = 0;

beforeAll(async () => {
  mkdirSync(repos);
  served = await serve(repos, home);
  await initRepository(bare, home);
  await commitFile(bare, home, 'a.txt', 'hello');
});
afterAll(async () => {
  await served.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  file = join(repos, `r${(number += 1)}.fossil`);
  copyFileSync(bare, file);
});

/** Does to the file what only somebody with a hex editor's freedom can. */
function tamper(sql: string): void {
  using database = new DatabaseSync(file, { defensive: false, enableForeignKeyConstraints: false });
  database.exec(sql);
}
/** What Fossil's server does after a push: here it runs hooks. */
const backoffice = (repository: string) =>
  run({ argv: ['fossil', 'backoffice', repository], env: { ...fossilEnvironment(home), USER: 'admin' } });
const setting = (name: string) =>
  query(file, `SELECT value FROM config WHERE name = '${name}'`)[0]?.['value'];

/** Whose password stands in clear text in a new repository: Debian 12's Fossil (2.21) writes it so, Debian 13's (2.26) hashes it. */
const inClear = (): string[] =>
  query(
    file,
    "SELECT login FROM user WHERE login = 'admin' AND NOT (length(pw) = 40 AND pw NOT GLOB '*[^0-9a-f]*')",
  ).map((row) => String(row['login']));

describe('a bare fossil init', () => {
  test('has its Setup user demoted and a clear password hashed; all else stays', async () => {
    const clear = inClear();
    const names = "SELECT name FROM config WHERE name <> 'localauth' ORDER BY name";
    const before = query(file, names);
    const result = sanitise(file);
    expect(result.users).toEqual([{ login: 'admin', from: 's', to: '' }]);
    expect(result.passwords).toEqual(clear);
    expect([result.settings, result.aside, result.schema]).toEqual([[], [], []]);
    expect(result.words).toEqual([
      'admin is no longer administrator of it (s → nothing)',
      ...clear.map((login) => `passwords that stood in clear text are hashed: ${login}`),
    ]);
    expect(query(file, names)).toEqual(before);
    expect(query(file, 'SELECT count(*) AS n FROM event')).toEqual([{ n: 2 }]);
    expect((await verifyRepository(run, { program: 'fossil', home }, file)).errors).toEqual([]);
  });

  test('is changed once', () => {
    sanitise(file);
    expect(sanitise(file)).toEqual({
      users: [],
      passwords: [],
      settings: [],
      aside: [],
      schema: [],
      words: [],
    });
  });

  test('keeps its search index', async () => {
    const env = { ...fossilEnvironment(home), USER: 'admin' };
    for (const args of [
      ['index', 'on'],
      ['enable', 'cdtw'],
    ])
      await run({ argv: ['fossil', 'fts-config', ...args, '-R', file], env });
    await run({ argv: ['fossil', 'rebuild', file], env });
    expect(sanitise(file).schema).toEqual([]);
    const { stdout } = await run({
      argv: ['fossil', 'search', '--fts', 'hello', '-R', file],
      env,
      accept: [1],
    });
    expect(stdout).not.toContain('no such table');
    expect(
      query(file, "SELECT name FROM sqlite_schema WHERE name IN ('artifact', 'ftscontent', 'ftsidx')"),
    ).toHaveLength(3);
  });
});

describe('a hostile file', () => {
  test('cannot make anybody administrator', () => {
    const clear = inClear();
    tamper(`
      INSERT INTO user(login, cap, pw, cookie, cexpire) VALUES ('eve', 'asi', 'letmein', 'cookie', 9e9);
      INSERT INTO user(login, cap, pw) VALUES ('vic', 'v', 'letmein');
      UPDATE user SET cap = 's' WHERE login IN ('nobody', 'reader', 'developer', 'anonymous');
      CREATE TRIGGER up AFTER UPDATE ON user BEGIN UPDATE user SET cap = 's' WHERE login = 'eve'; END;
      CREATE TRIGGER down AFTER DELETE ON config BEGIN INSERT INTO config VALUES ('tcl', '1', 0); END;
      CREATE VIEW unversioned AS SELECT 1;
      CREATE VIEW artifact AS SELECT 2;
      CREATE VIRTUAL TABLE evil USING fts5(x);
    `);
    const result = sanitise(file);
    expect(result.schema.sort()).toEqual([
      'trigger down',
      'trigger up',
      'view artifact',
      'view unversioned',
      'virtual table evil',
    ]);
    expect(result.users).toContainEqual({ login: 'eve', from: 'asi', to: 'i' });
    expect(result.passwords).toEqual([...clear, 'eve', 'vic']);
    const admin = { login: 'admin', token: newToken(), role: 'owner' } as const;
    projectAccess(file, { visibility: 'private', archived: false, members: [admin] });
    expect(query(file, "SELECT login FROM user WHERE cap <> '' OR pw <> '' OR cookie IS NOT NULL")).toEqual([
      { login: 'admin' },
    ]);
    expect(query(file, "SELECT count(*) AS n FROM user WHERE cap GLOB '*[asuv]*'")).toEqual([{ n: 0 }]);
  });

  test.each([
    [
      'generated letters',
      "CREATE TABLE user(uid INTEGER PRIMARY KEY, login, pw, cap TEXT AS ('s'), cookie, ipaddr, cexpire, info)",
    ],
    [
      'letters by default',
      "CREATE TABLE user(uid INTEGER PRIMARY KEY, login TEXT UNIQUE, pw, cap TEXT DEFAULT 's', cookie, cexpire, info)",
    ],
    [
      'two rows of one login',
      'CREATE TABLE user(uid INTEGER PRIMARY KEY, login, pw, cap, cookie, ipaddr, cexpire, info, mtime)',
    ],
    [
      'a check',
      "CREATE TABLE user(uid INTEGER PRIMARY KEY, login, pw, cap CHECK (cap IS NULL OR cap = 's'), cookie, info)",
    ],
  ])('with a table of users that has %s gets an honest one', (_, definition) => {
    tamper(
      `DROP TABLE user; ${definition}; INSERT INTO user(login, pw) VALUES ('nobody', 'x'), ('eve', 'y');`,
    );
    if (definition.includes('login, pw, cap,')) tamper("INSERT INTO user(login, cap) VALUES ('nobody', 's')");
    sanitise(file);
    projectAccess(file, { visibility: 'private', archived: false, members: [] });
    expect(query(file, "SELECT login FROM user WHERE cap <> ''")).toEqual([]);
    expect(query(file, 'SELECT login FROM user ORDER BY login').map(({ login }) => login)).toEqual([
      'anonymous',
      'developer',
      'eve',
      'nobody',
      'reader',
    ]);
  });

  test('runs nothing and shows no page of its own', async () => {
    const rows: Record<string, string> = {
      hooks: JSON.stringify([{ cmd: `touch ${marker}`, type: 'after-receive', seq: 1 }]),
      tcl: '1',
      'tcl-setup': 'exec id',
      'th1-setup': 'puts PWNED',
      'th1-hooks': '1',
      'th1-docs': '1',
      'th1-uri-regexp': '.*',
      'xfer-push-script': 'puts PWNED',
      'peer-repo-x': '/data/repos/other.fossil',
      'login-group-name': 'g',
      'email-send-command': 'id',
      'email-send-method': 'pipe',
      'ssh-command': 'id',
      'backoffice-logfile': '/tmp/x',
      header: '<h1>PWNED</h1>',
      footer: 'PWNED',
      css: 'PWNED',
      js: 'PWNED',
      'draft1-header': 'PWNED',
      'ticket-viewpage': '<th1>puts PWNED</th1>',
      adunit: '<script>PWNED</script>',
      'logo-mimetype': 'text/html',
      'default-csp': '*',
      'new-in-some-later-fossil': 'PWNED',
      'last-sync-pw': 'secret',
      'self-register': '1',
      'ignore-glob': '*.o',
      'walias:/x': '/timeline',
      'timeline-utc': '1',
    };
    using database = new DatabaseSync(file);
    const write = database.prepare('REPLACE INTO config(name, value, mtime) VALUES (?, ?, 0)');
    for (const [name, value] of Object.entries(rows)) write.run(name, value);
    database.exec("REPLACE INTO config VALUES ('hook-last-rcvid', '0', 0)");
    database.close();

    // Without this the test would show nothing: as it is, the file runs its hook and shows its own pages.
    const untouched = join(repos, `untouched-${number}.fossil`);
    copyFileSync(file, untouched);
    await backoffice(untouched);
    expect(existsSync(marker)).toBe(true);
    rmSync(marker);
    expect(
      await (await fetch(`http://127.0.0.1:${served.port}/untouched-${number}/timeline`)).text(),
    ).toContain('PWNED');

    const result = sanitise(file);
    expect(result.settings).toEqual([
      'backoffice-logfile',
      'email-send-command',
      'email-send-method',
      'hooks',
      'login-group-name',
      'peer-repo-x',
      'ssh-command',
      'tcl',
      'tcl-setup',
      'th1-docs',
      'th1-hooks',
      'th1-setup',
      'th1-uri-regexp',
      'xfer-push-script',
    ]);
    expect(result.aside).toEqual([
      'adunit',
      'css',
      'default-csp',
      'draft1-header',
      'footer',
      'header',
      'js',
      'logo-mimetype',
      'new-in-some-later-fossil',
      'ticket-viewpage',
    ]);
    expect(['ignore-glob', 'walias:/x', 'timeline-utc'].map(setting)).toEqual(['*.o', '/timeline', '1']);
    expect(['last-sync-pw', 'self-register'].map(setting)).toEqual([undefined, undefined]);
    expect(setting('fossilrepo-aside:header')).toBe('<h1>PWNED</h1>');
    expect(sanitise(file).words).toEqual([]);

    projectAccess(file, { visibility: 'public', archived: false, members: [] });
    await backoffice(file);
    expect(existsSync(marker)).toBe(false);
    for (const page of ['timeline', 'style.css', 'draft1/timeline', 'ticket', 'logo', 'doc/trunk/a.txt']) {
      const response = await fetch(`http://127.0.0.1:${served.port}/r${number}/${page}`);
      expect(await response.text(), page).not.toContain('PWNED');
      expect(response.headers.get('content-type'), page).not.toBe(page === 'logo' ? 'text/html' : null);
    }
  });

  test.each([
    [
      'a made-up project code',
      "UPDATE config SET value = 'x' || char(13, 10) || 'Set-Cookie: a=b' WHERE name = 'project-code'",
      'project code',
    ],
    ['no project code', "DELETE FROM config WHERE name = 'project-code'", 'not a complete'],
    [
      'a view for a table',
      "DROP TABLE config; CREATE VIEW config AS SELECT 'project-code' AS name, 1 AS value",
      'not a complete',
    ],
    ['no tables', 'DROP TABLE user', 'not a complete'],
  ])('with %s is refused and left as it was', (_, sql, why) => {
    tamper(sql);
    const before = query(file, 'SELECT sql FROM sqlite_schema');
    expect(() => sanitise(file)).toThrow(why);
    expect(query(file, 'SELECT sql FROM sqlite_schema')).toEqual(before);
  });

  test('that is damaged is refused', () => {
    tamper(`PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'event_i1') WHERE name = 'mlink_i1'`);
    expect(() => sanitise(file)).toThrow('damaged');
  });
});

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enforcedSettings, projectAccess } from '../../src/access/project.ts';
import type { ProjectAccess } from '../../src/access/wanted.ts';
import { fossilClone, fossilEnvironment } from '../../src/programs/fossil.ts';
import { secret } from '../../src/secrets/secret.ts';
import { newToken } from '../../src/secrets/passwords.ts';
import { cleanEnvironment, run } from '../../src/system/run.ts';
import { commitFile, initRepository, query, type Served, serve } from './support/fossil-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-'));
const home = join(folder, 'home');
const repos = join(folder, 'repos');
const token = newToken();
const admin = { login: 'admin', token, role: 'owner' } as const;
let served: Served;
let names = 0;

beforeAll(async () => {
  mkdirSync(repos);
  served = await serve(repos, home);
});
afterAll(async () => {
  await served.stop();
  rmSync(folder, { recursive: true });
});

const wanted = (changes: Partial<ProjectAccess> = {}): ProjectAccess => ({
  visibility: 'private',
  archived: false,
  members: [admin],
  ...changes,
});

async function project(access = wanted()) {
  const name = `demo-${(names += 1)}`;
  const file = join(repos, `${name}.fossil`);
  await initRepository(file, home);
  const projected = projectAccess(file, access);
  const url = (login?: string, password = '') =>
    `http://${login === undefined ? '' : `${login}:${password}@`}127.0.0.1:${served.port}/${name}`;
  const clone = async (from: string) => {
    const copy = join(folder, `${name}-${(names += 1)}.copy`);
    const result = await run({
      ...fossilClone('fossil', { url: secret(from), file: copy, adminUser: 'admin', home }),
      accept: [1],
    });
    return { copy, said: result.stdout + result.stderr };
  };
  return { name, file, projected, url, clone };
}

/** What a client does with its copy, as the user of the copy. @returns what Fossil said: its exit code says nothing */
async function client(copy: string, ...args: string[]): Promise<string> {
  const env = { ...fossilEnvironment(home), USER: 'admin' };
  const { stdout, stderr } = await run({ argv: ['fossil', ...args, '-R', copy], env, accept: [1] });
  return stdout + stderr;
}

describe('a private repository', () => {
  test('gives nothing to a stranger, and all to the token', async () => {
    const { url, clone, file } = await project();
    expect((await clone(url())).said).toContain('not authorized');
    expect((await clone(url('admin', 'wrong'))).said).toContain('login failed');
    const { copy, said } = await clone(url('admin', token.reveal()));
    expect(said).not.toContain('rror');
    expect(existsSync(copy)).toBe(true);
    for (const page of ['timeline', 'zip/trunk/x.zip', 'home', 'setup'])
      expect(await served.status(`${url()}/${page}`), page).not.toBe(200);
    // Fossil answers 200 to JSON whatever it says in it; Debian 13's is built without.
    expect(await (await fetch(`${url()}/json/stat`)).text()).toMatch(/FOSSIL-2002|Page not found: json/);

    await commitFile(copy, home, 'hello.txt', 'hello');
    await client(copy, 'push', url('admin', token.reveal()));
    expect(query(file, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 2 }]);
  });

  test('holds no clear password, no letter that is not ours, and its settings', async () => {
    const { file } = await project();
    const users = query(file, 'SELECT login, cap, pw FROM user ORDER BY login');
    expect(users.map(({ login, cap }) => `${String(login)}:${String(cap)}`)).toEqual([
      'admin:bcefghijklmnoqrtwxyz23456ACD',
      'anonymous:',
      'developer:',
      'nobody:',
      'reader:',
    ]);
    for (const { pw } of users) expect(pw).toMatch(/^([0-9a-f]{40})?$/);
    for (const [name, value] of Object.entries(enforcedSettings))
      expect(query(file, `SELECT value FROM config WHERE name = '${name}'`)).toEqual([{ value }]);
  });

  test.each(['delete', 'wal'])('is written once in %s mode', async (mode) => {
    const { file, projected } = await project();
    expect(projected.changed).toBeGreaterThan(5);
    query(file, `PRAGMA journal_mode = ${mode}`);
    const before = query(file, 'PRAGMA data_version; ');
    expect(projectAccess(file, wanted())).toEqual({ changed: 0, ended: [] });
    expect(query(file, 'PRAGMA data_version')).toEqual(before);
    expect(projectAccess(file, wanted({ visibility: 'public' })).changed).toBe(2);
    expect(query(file, 'PRAGMA journal_mode')).toEqual([{ journal_mode: mode }]);
  });
});

test('a public repository is cloned by everybody and pushed to by nobody', async () => {
  const { url, clone, file } = await project(wanted({ visibility: 'public' }));
  const { copy, said } = await clone(url());
  expect(said).not.toContain('not authorized');
  expect(await served.status(`${url()}/timeline`)).toBe(200);
  await commitFile(copy, home, 'a.txt', 'a');
  expect(await client(copy, 'push', url())).toContain('not authorized to write');
  expect(query(file, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 1 }]);
});

test('an archived repository can be cloned and nothing arrives in it', async () => {
  const { url, clone, file } = await project(wanted({ archived: true }));
  const { copy } = await clone(url('admin', token.reveal()));
  const before = query(file, 'SELECT count(*) AS n FROM blob');
  await commitFile(copy, home, 'a.txt', 'a');
  await client(copy, 'uv', 'add', join(home, '.fossil'), '--as', 'x');
  const to = url('admin', token.reveal());
  expect(await client(copy, 'push', to)).toContain('not authorized to write');
  // A client that syncs is not told: Fossil quietly makes it a pull.
  await client(copy, 'sync', to);
  await client(copy, 'uv', 'sync', to);
  expect(query(file, 'SELECT count(*) AS n FROM blob')).toEqual(before);
  expect(query(file, 'SELECT count(*) AS n FROM unversioned')).toEqual([{ n: 0 }]);
  const cookie = await served.signIn(url(), 'admin', token.reveal());
  for (const page of [
    'wikinew',
    'tktnew',
    'attachadd?page=x',
    'rptnew',
    'chat',
    'announce',
    'forumnew',
    'setup',
    'uvlist',
  ])
    expect(await served.status(`${url()}/${page}`, cookie), page).toBe(page === 'uvlist' ? 200 : 302);

  projectAccess(file, wanted());
  await client(copy, 'push', to);
  await client(copy, 'uv', 'sync', to);
  expect(query(file, 'SELECT name FROM unversioned')).toEqual([{ name: 'x' }]);
  expect(query(file, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 2 }]);
});

test('the administrator cannot push a configuration', async () => {
  const { url, clone, file } = await project();
  const { copy } = await clone(url('admin', token.reveal()));
  query(copy, "UPDATE user SET cap = 's', mtime = unixepoch() + 60 WHERE login = 'admin'");
  query(copy, "INSERT INTO config VALUES ('th1-setup', 'puts hi', unixepoch() + 60)");
  query(copy, "REPLACE INTO config VALUES ('header', '<h1>mine</h1>', unixepoch() + 60)");
  const rows = () => [
    query(file, 'SELECT login, cap, pw FROM user ORDER BY uid'),
    query(file, "SELECT name, value FROM config WHERE name NOT LIKE '%login%' ORDER BY name"),
  ];
  const before = rows();
  for (const area of ['user', 'skin', 'project', 'ticket', 'all'])
    expect(await client(copy, 'config', 'push', area, url('admin', token.reveal()))).toContain(
      'not authorized',
    );
  expect(rows()).toEqual(before);
});

describe('sessions', () => {
  test('end with the token, with a letter that is lost, and with the member', async () => {
    const { url, file } = await project();
    const cookie = await served.signIn(url(), 'admin', token.reveal());
    expect(await served.status(`${url()}/timeline`, cookie)).toBe(200);
    expect(projectAccess(file, wanted({ visibility: 'public' })).ended).toEqual([]);
    expect(projectAccess(file, wanted()).ended).toEqual([]);
    expect(await served.status(`${url()}/timeline`, cookie)).toBe(200);

    const rotated = { ...admin, token: newToken() };
    expect(projectAccess(file, wanted({ members: [rotated] })).ended).toEqual(['admin']);
    expect(await served.status(`${url()}/timeline`, cookie)).toBe(302);

    const second = await served.signIn(url(), 'admin', rotated.token.reveal());
    expect(projectAccess(file, wanted({ members: [{ ...rotated, role: 'viewer' }] })).ended).toEqual([
      'admin',
    ]);
    expect(await served.status(`${url()}/timeline`, second)).toBe(302);

    const third = await served.signIn(url(), 'admin', rotated.token.reveal());
    expect(projectAccess(file, wanted({ members: [] })).ended).toEqual(['admin']);
    expect(await served.status(`${url()}/timeline`, third)).toBe(302);
    expect(projectAccess(file, wanted({ members: [] }))).toEqual({ changed: 0, ended: [] });
    expect(query(file, "SELECT cap, pw, cookie, cexpire FROM user WHERE login = 'admin'")).toEqual([
      { cap: '', pw: '', cookie: null, cexpire: 0 },
    ]);
  });
});

describe('a file', () => {
  test('that is missing is not made', () => {
    const file = join(folder, 'a b?%20.fossil');
    expect(() => projectAccess(file, wanted())).toThrow('is not there');
    expect(existsSync(file)).toBe(false);
  });

  test('that is no repository is refused', () => {
    const file = join(folder, 'else.db');
    new DatabaseSync(file).exec('CREATE TABLE t(x)');
    expect(() => projectAccess(file, wanted())).toThrow();
  });

  test('with rows that were added by hand is put right', async () => {
    const { file } = await project();
    query(file, "INSERT INTO user(login, cap, pw, cookie, cexpire) VALUES ('eve', 's', 'clear', 'c', 9e9)");
    query(file, "UPDATE user SET cap = 's' WHERE login IN ('nobody', 'reader')");
    query(file, "UPDATE config SET value = '1' WHERE name = 'self-register'");
    expect(projectAccess(file, wanted())).toEqual({ changed: 4, ended: ['eve'] });
    expect(query(file, "SELECT count(*) AS n FROM user WHERE cap GLOB '*[as]*'")).toEqual([{ n: 0 }]);
  });
});

test('no secret is in the environment or the arguments of a clone', () => {
  const command = fossilClone('fossil', {
    url: secret('http://a:hush@h/'),
    file: '/f',
    adminUser: 'admin',
    home,
  });
  expect(JSON.stringify([command.argv, cleanEnvironment(command.env)])).not.toContain('hush');
  expect(command.input).toContain('hush');
});

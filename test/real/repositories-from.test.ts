import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { bringRepository } from '../../src/repos/bring.ts';
import { secret } from '../../src/secrets/secret.ts';
import { type Person, newPerson, type Shown } from './client.ts';
import { startForge, type TestForge } from './forge.ts';
import { processesOf } from './processes.ts';
import { query } from './support/fossil-lab.ts';
import { startSilent } from './support/git-servers.ts';
import { mirrorLab } from './support/mirror-lab.ts';

let forge: TestForge;
let someone: Person;
let token: string;
let source: Shown;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  chmodSync(someone.home, 0o755);
  token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
  source = await forge.json<Shown>(
    'repo',
    'create',
    'source',
    '--visibility',
    'public',
    '--description',
    'the source',
  );
  const folder = await someone.checkout(source.cloneUrl, `admin:${token}`);
  for (const name of ['a.txt', 'b.txt']) await someone.commit(folder, name, `${name}\n`.repeat(100));
  if (!(await someone.push(folder))) throw new Error('no push');
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

const signedIn = (url: string) => url.replace('://', `://admin:${token}@`);
const artifacts = (file: string) => query(file, 'SELECT uuid FROM blob ORDER BY uuid');
/** What a failed command must not leave. */
const leftovers = () =>
  readdirSync(join(forge.root, 'data/work/tmp')).filter((name) => !name.startsWith('scratch-'));

/** Looks at all processes again and again. @returns those that showed the word, the test's own command aside */
async function watchFor<T>(word: string, work: Promise<T>): Promise<{ result: T; seen: string[] }> {
  const seen = new Set<string>();
  let ended = false;
  const isOver = () => ended;
  const result = work.finally(() => (ended = true));
  while (!isOver()) {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        if (line.includes(word) && !line.includes('repo create')) seen.add(line);
      } catch {
        // It has ended.
      }
    }
    await sleep(2);
  }
  return { result: await result, seen: [...seen] };
}

describe('--from an address', () => {
  test('brings a public repository, private here', async () => {
    const shown = await forge.json<Shown>('repo', 'create', 'brought', '--from', source.cloneUrl);
    expect(shown).toMatchObject({ checkins: 3, visibility: 'private', description: 'the source' });
    expect(artifacts(shown.path)).toEqual(artifacts(source.path));
    expect(shown.id).not.toBe(source.id);
    expect(await someone.canClone(shown.cloneUrl)).toBe(false);
    expect(await someone.canClone(signedIn(shown.cloneUrl))).toBe(true);
    // The project keeps its own name, and knows nothing of where it came from.
    expect(query(shown.path, "SELECT value FROM config WHERE name = 'project-name'")).toEqual([
      { value: 'source' },
    ]);
    expect(query(shown.path, "SELECT name FROM config WHERE name GLOB 'last-sync*'")).toEqual([]);
  });

  test('with a password shows it to nobody: no process, no plan, no error, no file', async () => {
    await forge.json('repo', 'configure', 'source', '--visibility', 'private');
    const create = ['--json', 'repo', 'create', 'behind', '--from', signedIn(source.cloneUrl)];
    const plan = await forge.cli(...create, '--dry-run');
    expect(plan.code).toBe(0);
    expect(plan.stdout + plan.stderr).not.toContain(token);
    const { result, seen } = await watchFor(token, forge.cli(...create));
    expect(result).toMatchObject({ code: 0 });
    expect(seen).toEqual([]);
    expect(result.stdout + result.stderr).not.toContain(token);
    const shown = await forge.json<Shown>('repo', 'show', 'behind');
    expect(readFileSync(shown.path).includes(token)).toBe(false);
    expect(readFileSync(join(forge.root, 'run/fossilrepo/locks/changes.holder'), 'utf8')).not.toContain(
      token,
    );

    const bare = new URL(source.cloneUrl);
    bare.username = '';
    const asked = [
      '--json',
      'repo',
      'create',
      'told',
      '--from',
      bare.href,
      '--user',
      'admin',
      '--token-stdin',
    ];
    expect(await forge.told(`${token}\n`, ...asked)).toMatchObject({ code: 0 });
    expect(artifacts((await forge.json<Shown>('repo', 'show', 'told')).path)).toEqual(artifacts(source.path));

    const wrong = source.cloneUrl.replace('://', '://admin:wr0ng-hush@');
    const refused = await forge.cli('repo', 'create', 'refused', '--from', wrong);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Nothing was cloned from');
    expect(refused.stderr).not.toContain('wr0ng');
    const nowhere = await forge.cli('repo', 'create', 'refused', '--from', 'http://me:hush@localhost:1/x');
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).not.toContain('hush');
    expect((await forge.cli('repo', 'create', 'refused', '--from', 'ftp://x/y')).code).toBe(2);
    expect((await forge.cli('repo', 'show', 'refused')).code).toBe(1);
    expect(leftovers()).toEqual([]);
  });
});

test('a server that takes the connection and says nothing is given up, and nothing is left', async () => {
  await using silent = await startSilent();
  using lab = mirrorLab();
  const address = `http://me:hush@localhost:${silent.port}/x`;
  const file = join(lab.root, 'made.fossil');
  const from = { shown: `http://localhost:${silent.port}/x`, address: secret(address) };
  const brought = { ...{ id: 'id', name: 'x', from, file }, description: undefined };
  const limits = { quiet: 1_000, timeout: 60_000 };
  const error: unknown = await bringRepository(lab.forge, brought, limits).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    name: 'OperatorError',
    message: `Nothing was cloned from ${from.shown}: it did not get on in time, and the work was ended.`,
  });
  expect(existsSync(file)).toBe(false);
  expect(processesOf(lab.root)).toEqual([]);
});

describe('--from a file', () => {
  const file = (name: string) => join(someone.home, name);

  test('says what it made safe in a hostile one', async () => {
    const hostile = file('hostile.fossil');
    await someone.run(['fossil', 'init', '--admin-user', 'mallory', hostile]);
    query(
      hostile,
      "INSERT INTO config(name, value, mtime) VALUES ('tcl', '1', 0), ('th1-setup', 'puts x', 0), ('hooks', '[]', 0) RETURNING 1",
    );
    spawnSync('sqlite3', [
      hostile,
      "CREATE TRIGGER evil AFTER INSERT ON event BEGIN UPDATE user SET cap = 's'; END",
    ]);
    const before = readFileSync(hostile);
    const said = await forge.cli('--json', 'repo', 'create', 'tamed', '--from', hostile);
    expect(said).toMatchObject({ code: 0 });
    const shown = JSON.parse(said.stdout) as Shown;
    const words = shown.sanitised.join('\n');
    for (const word of ['mallory', 'evil', 'tcl']) {
      expect(words).toContain(word);
      expect(said.stderr).toContain(word);
    }
    expect(query(shown.path, "SELECT cap, pw FROM user WHERE login = 'mallory'")).toEqual([
      { cap: '', pw: '' },
    ]);
    expect(query(shown.path, "SELECT name FROM sqlite_schema WHERE type = 'trigger'")).toEqual([]);
    expect(readFileSync(hostile).equals(before)).toBe(true);
    expect((await forge.json<Shown>('repo', 'create', 'plain', '--from', source.path)).checkins).toBe(3);
  });

  test('refuses a damaged one, one that is none, and leaves nothing', async () => {
    const damaged = file('damaged.fossil');
    copyFileSync(file('checkout-1.fossil'), damaged);
    const [row] = query(damaged, 'SELECT max(rid) AS rid FROM blob WHERE size > 0');
    query(
      damaged,
      `UPDATE blob SET content = (SELECT content FROM blob WHERE rid <> ${Number(row?.['rid'])} AND size > 0 LIMIT 1) WHERE rid = ${Number(row?.['rid'])} RETURNING 1`,
    );
    const said = await forge.cli('repo', 'create', 'damaged', '--from', damaged);
    expect(said.code).not.toBe(0);
    expect(said.stderr).toContain(`${damaged} is damaged`);
    writeFileSync(file('text.fossil'), 'hello\n'.repeat(1000));
    const text = await forge.cli('repo', 'create', 'damaged', '--from', file('text.fossil'));
    expect(text.code).toBe(2);
    expect(text.stderr).toContain(`${file('text.fossil')} is no Fossil repository`);
    expect((await forge.cli('repo', 'create', 'damaged', '--from', file('nothing'))).code).toBe(2);
    expect((await forge.cli('repo', 'show', 'damaged')).code).toBe(1);
    expect(leftovers()).toEqual([]);
  });

  test('that root alone may read, by root', async () => {
    expect(process.getuid?.(), 'this test needs root').toBe(0);
    const hidden = file('hidden.fossil');
    await someone.run(['fossil', 'init', hidden]);
    chmodSync(hidden, 0o600);
    expect((await forge.cli('repo', 'create', 'hidden', '--from', hidden)).code).not.toBe(0);
    const fossilrepo = join(programHome, 'bin/fossilrepo');
    const argv = ['--root', forge.root, '--json', 'repo', 'create', 'hidden', '--from', hidden];
    const said = spawnSync(fossilrepo, argv, { encoding: 'utf8' });
    expect(said, said.stderr).toMatchObject({ status: 0 });
    const shown = JSON.parse(said.stdout) as Shown;
    expect(await someone.canClone(signedIn(shown.cloneUrl))).toBe(true);
    expect(existsSync(hidden)).toBe(true);
    expect(leftovers()).toEqual([]);
  });
});

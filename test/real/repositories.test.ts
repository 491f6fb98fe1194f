import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Person, newPerson, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { query } from './support/fossil-lab.ts';

let forge: TestForge;
let someone: Person;
let token: string;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

/** Whether a stranger sees a page, not Fossil's sign-in. */
const isOpen = async (url: string) => !new URL((await fetch(url)).url).pathname.endsWith('/login');
const signedIn = (url: string) => url.replace('://', `://admin:${token}@`);

describe('repo create', () => {
  test.each([
    ['public', true],
    ['internal', false],
    ['private', false],
  ] as const)('%s: within 2 s a page and a clone, for strangers: %s', async (visibility, open) => {
    const started = performance.now();
    const said = await forge.cli('--json', 'repo', 'create', `a-${visibility}`, '--visibility', visibility);
    const took = performance.now() - started;
    expect(said).toMatchObject({ code: 0, stderr: '' });
    process.stdout.write(`repo create ${visibility}: ${Math.round(took)} ms\n`);
    expect(took).toBeLessThan(2_000);
    const shown = JSON.parse(said.stdout) as Shown;
    expect(shown).toMatchObject({ name: `a-${visibility}`, visibility, checkins: 1 });
    expect(await isOpen(shown.url)).toBe(open);
    expect(await someone.canClone(shown.cloneUrl)).toBe(open);
    expect(await someone.canClone(signedIn(shown.cloneUrl))).toBe(true);
  });

  test('is private when nothing is said, and the clone command works word for word', async () => {
    const shown = await forge.json<Shown>('repo', 'create', 'word');
    expect(shown.visibility).toBe('private');
    expect(shown.cloneUrl).not.toContain('@');
    // At a terminal, as people paste it: the password, and then whether to remember it.
    const typed = `(sleep 0.6; echo ${token}; sleep 0.4; echo) | script -qec '${shown.cloneCommand}' /dev/null`;
    const clone = await someone.run(['sh', '-c', typed]);
    expect(clone, clone.stdout + clone.stderr).toMatchObject({ code: 0 });
    expect(existsSync(join(someone.home, 'word.fossil'))).toBe(true);
    // What it keeps is enough for the next push.
    expect((await someone.fossil('', 'open', 'word.fossil', '--workdir', 'word')).code).toBe(0);
    await someone.fossil('word', 'settings', 'autosync', 'off');
    await someone.commit('word', 'hello.txt', 'hello');
    expect(await someone.push('word')).toBe(true);
    expect((await forge.json<Shown>('repo', 'show', 'word')).checkins).toBe(2);
    const open = await forge.json<Shown>('repo', 'show', 'a-public');
    expect((await someone.run(['sh', '-c', open.cloneCommand])).code).toBe(0);
  });

  test.each([
    ['Upper', 'cannot be'],
    ['under_score', 'cannot be'],
    ['end-', 'cannot be'],
    ['ümlaut', 'cannot be'],
    ['a/b', 'cannot be'],
    ['..', 'cannot be'],
    ['', 'cannot be'],
    ['x'.repeat(64), 'cannot be'],
    ['timeline', 'page of Fossil'],
    ['www', 'reserved'],
    ['app', 'reserved'],
    ['fossilrepo-canary', 'reserved'],
    ['word', 'already'],
  ])('%j is refused: %s', async (name, why) => {
    const said = await forge.cli('repo', 'create', name);
    expect(said.code).toBe(2);
    expect(said.stderr).toContain(why);
    expect(said.stderr).toContain('next:');
  });

  test('a name of 63 letters works', async () => {
    const name = `n${'-1'.repeat(31)}`;
    expect((await forge.json<Shown>('repo', 'create', name)).name).toHaveLength(63);
  });

  test('--dry-run says what would be done and does nothing', async () => {
    const before = JSON.stringify([
      readdirSync(join(forge.root, 'data/repos')),
      await forge.json('repo', 'list'),
    ]);
    const said = await forge.cli('repo', 'create', 'dry', '--dry-run');
    expect(said).toMatchObject({ code: 0 });
    expect(said.stdout).toContain('move work/tmp/');
    expect(JSON.parse(before)).toMatchObject([readdirSync(join(forge.root, 'data/repos')), {}]);
    expect((await forge.cli('repo', 'show', 'dry')).code).toBe(1);
    expect((await forge.cli('repo', 'create', 'word', '--dry-run')).code).toBe(2);
  });

  test('killed at any moment and run again, it finishes', async () => {
    for (let index = 0; index < 10; index++) {
      const name = `killed-${index}`;
      const after = 120 + index * 35;
      const killed = await forge.killed(after, 'repo', 'create', name);
      // Half of them at once, half after the loop had its turn.
      if (index % 2 === 1) await sleep(2_500);
      const again = await forge.cli('--json', 'repo', 'create', name);
      // One that was killed when all was done, and only its word was missing, is in service: what follows looks at it.
      const there = again.code === 2 && again.stderr.includes('already');
      expect(again.code === 0 || there, `after ${after} ms, ${killed.code}: ${again.stderr}`).toBe(true);
      const shown = await forge.json<Shown>('repo', 'show', name);
      expect(await someone.canClone(signedIn(shown.cloneUrl))).toBe(true);
      expect(await someone.canClone(shown.cloneUrl)).toBe(false);
    }
    // The loop finds nothing left to do.
    await eventually(async () => (await forge.cli('status')).code === 0, 10_000, 'status is green');
    const files = readdirSync(join(forge.root, 'data/repos')).filter((name) => name.endsWith('.fossil'));
    const { repositories } = await forge.json<{ repositories: Shown[] }>('repo', 'list');
    expect(files.sort()).toEqual(
      [...repositories.map(({ name }) => `${name}.fossil`), 'fossilrepo-canary.fossil'].sort(),
    );
  });
});

describe('repo list and show', () => {
  test('tell what scripts rely on', async () => {
    const shown = await forge.json<Shown>('repo', 'show', 'a-public');
    const { host } = new URL(shown.url);
    expect(shown).toMatchObject({
      name: 'a-public',
      url: `http://${host}/`,
      cloneUrl: `http://${host}/`,
      cloneCommand: `fossil clone http://${host}/ a-public.fossil`,
      visibility: 'public',
      path: join(forge.root, 'data/repos/a-public.fossil'),
      checkins: 1,
    });
    expect(shown.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(shown.bytes).toBeGreaterThan(200_000);
    const { repositories } = await forge.json<{ repositories: Shown[] }>('repo', 'list');
    const listed = repositories.find(({ name }) => name === 'a-public');
    expect(listed).toMatchObject({
      ...shown,
      bytes: listed?.bytes,
      ageSeconds: expect.any(Number) as unknown,
      replicated: true,
    });
    expect(repositories.map(({ name }) => name)).not.toContain('fossilrepo-canary');
    expect((await forge.cli('repo', 'list')).stdout).toMatch(/a-public +public +[0-9.]+ kB +1 /);
    expect(await forge.cli('repo', 'show', 'nothing')).toMatchObject({ code: 1, stdout: '' });
  });

  test('one file that cannot be read hides no other', async () => {
    const { path } = await forge.json<Shown>('repo', 'create', 'unreadable');
    spawnSync('chmod', ['000', path]);
    const { repositories } = await forge.json<{ repositories: (Shown & { problem: string })[] }>(
      'repo',
      'list',
    );
    expect(repositories.find(({ name }) => name === 'unreadable')).toMatchObject({ checkins: null });
    expect(repositories.find(({ name }) => name === 'word')).toMatchObject({ checkins: 2, problem: null });
    expect((await forge.cli('repo', 'show', 'unreadable')).stdout).toContain(path);
    spawnSync('chmod', ['660', path]);
    await eventually(async () => (await forge.cli('status')).code === 0, 10_000, 'green again');
  });
});

describe('repo configure', () => {
  test('opens and closes a repository at once', async () => {
    const { cloneUrl, path } = await forge.json<Shown>('repo', 'create', 'door');
    for (const [visibility, open] of [
      ['public', true],
      ['internal', false],
      ['public', true],
      ['private', false],
    ] as const) {
      expect(await forge.json('repo', 'configure', 'door', '--visibility', visibility)).toMatchObject({
        visibility,
      });
      expect(query(path, "SELECT cap FROM user WHERE login = 'nobody'")).toEqual([
        { cap: open ? 'gjorz' : '' },
      ]);
      expect(await someone.canClone(cloneUrl)).toBe(open);
    }
    const again = await forge.cli('repo', 'configure', 'door', '--visibility', 'private');
    expect(again).toMatchObject({ code: 0, stdout: 'nothing to do\n' });
    const plan = await forge.cli('repo', 'configure', 'door', '--visibility', 'public', '--dry-run');
    expect(plan.stdout).toContain("today's access");
    expect(await someone.canClone(cloneUrl)).toBe(false);
  });

  test('writes the description into the repository', async () => {
    const { path } = await forge.json<Shown>('repo', 'create', 'told', '--description', 'größer & <b>');
    const described = () =>
      query(path, "SELECT value FROM config WHERE name = 'project-description'")[0]?.['value'];
    expect(described()).toBe('größer & <b>');
    await forge.json('repo', 'configure', 'told', '--description', '--args x');
    expect(described()).toBe('--args x');
    expect(await forge.json('repo', 'show', 'told')).toMatchObject({ description: '--args x' });
  });

  test('access that was changed by hand is put right', async () => {
    const { path, cloneUrl } = await forge.json<Shown>('repo', 'create', 'by-hand');
    query(path, "UPDATE user SET cap = 'gjorz' WHERE login = 'nobody' RETURNING 1");
    await eventually(async () => !(await someone.canClone(cloneUrl)), 20_000, 'private again');
    expect((await forge.cli('--json', 'status')).stdout).toContain(
      'access to by-hand had been changed by hand',
    );
  });
});

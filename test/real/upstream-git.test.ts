import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { type Person, newPerson, type Shown } from './client.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { measured } from './processes.ts';
import { query } from './support/fossil-lab.ts';
import { differences, roundTripDifferences } from './support/git-compare.ts';
import { gitHistory } from './support/git-history.ts';
import { startGitHttp } from './support/git-servers.ts';
import { makeRemote, oddHistory, type Remote } from './support/git-remote.ts';

let forge: TestForge;
let someone: Person;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

const remotes = () => join(forge.root, 'remotes');
const remote = (name: string): Remote => {
  execFileSync('env', [...asForgesUser(), 'mkdir', '-p', remotes()]);
  return makeRemote(join(remotes(), `${name}.git`));
};
/** The management database. */
const managed = () => join(forge.root, 'var/lib/fossilrepo/fossilrepo.db');
const create = (name: string, from: string, ...more: string[]) =>
  forge.json<Shown & { upstream: string | null }>('repo', 'create', name, '--from', from, ...more);
const pulled = (name: string) => forge.json('upstream', 'pull', name);
const pull = (name: string) => forge.cli('--json', 'upstream', 'pull', name);
/** What the management database knows: Fossil's hashes by Git's. */
const marksOf = ({ id }: Pick<Shown, 'id'>): Map<string, string> =>
  new Map(
    query(managed(), `SELECT git, fossil FROM import_mark WHERE repository = '${id}'`).map((row) => [
      String(row['git']),
      String(row['fossil']),
    ]),
  );
/** The check-in that Fossil takes a name for. */
const called = ({ path }: Shown, name: string): string | undefined =>
  query(
    path,
    `SELECT b.uuid AS uuid FROM tagxref x JOIN tag t ON t.tagid = x.tagid JOIN event e ON e.objid = x.rid JOIN blob b ON b.rid = x.rid
     WHERE t.tagname = 'sym-${name}' AND x.tagtype > 0 ORDER BY e.mtime DESC LIMIT 1`,
  ).map((row) => String(row['uuid']))[0];
const compare = (one: Remote, shown: Shown, options?: Parameters<typeof differences>[3]) =>
  differences(one, shown.path, marksOf(shown), options);

/** Mirrors a repository to a bare folder, and compares that with where it was imported from. @param main what the main branch is called there */
async function roundTrip(source: Remote, shown: Shown, main: string): Promise<string[]> {
  const there = remote(`${shown.name}-mirror`);
  await forge.json('mirror', 'add', shown.name, there.folder, '--name', 'back');
  const succeeded = `SELECT 1 FROM mirror WHERE repository = '${shown.id}' AND ok_at NOT NULL AND error IS NULL`;
  const took = await eventually(() => query(managed(), succeeded).length > 0, 300_000, 'it is all there');
  measured(`${marksOf(shown).size} check-ins were on a mirror after ${Math.round(took / 100) / 10} s`);
  return roundTripDifferences(source, there, marksOf(shown), [main, 'main']);
}

test('everything odd in a history comes as it is; pull requests and notes do not', async () => {
  const odd = remote('odd');
  odd.feed(oddHistory());
  const shown = await create('odd', odd.folder);
  expect(shown).toMatchObject({ upstream: odd.folder, checkins: odd.count() });
  // One file is what an attacker would like Fossil to take for its own; it has a line more.
  expect(compare(odd, shown, { altered: ['artifact'] })).toEqual([]);
  const marks = marksOf(shown);
  const of = (rev: string) => marks.get(odd.git('rev-parse', `${rev}^{commit}`));
  const branch = (rev: string) =>
    query(
      shown.path,
      `SELECT value FROM tagxref JOIN tag USING (tagid) JOIN blob USING (rid) WHERE tagname = 'branch' AND uuid = '${of(rev) ?? ''}'`,
    )[0]?.['value'];
  expect(['heads/main', 'feature/x', 'master', 'detached', 'heads/main^'].map(branch)).toEqual([
    ...['trunk', 'feature/x', 'master', 'tag/detached', 'trunk'],
  ]);
  expect(branch('refs/heads/trunk')).toMatch(/^trunk-[0-9a-f]{8}$/);
  const names = query(
    shown.path,
    "SELECT substr(tagname, 5) AS name FROM tag WHERE tagname GLOB 'sym-*'",
  ).map((row) => String(row['name']));
  expect(names).toEqual(expect.arrayContaining(['v1', 'same', 'detached', 'main']));
  expect(names).not.toContain('evil');
  expect(called(shown, 'v1')).toBe(of('v1'));
  const events = query(
    shown.path,
    "SELECT user, comment, strftime('%s', mtime) AS at FROM event WHERE type = 'ci' ORDER BY mtime",
  );
  expect(events.map(({ user, comment }) => [user, comment])).toEqual(
    expect.arrayContaining([
      ['unknown', 'one'],
      ['j@x.org', 'latin ü\n\nmore'],
      ['d@x.org', '(no comment)'],
      ['e@x.org', '  odd text \\s \r\n\ttab'],
      ['f@x.org', 'late merge'],
    ]),
  );
  expect(events.find(({ comment }) => comment === 'late merge')?.['at']).toBe('1000000000');
});

test('files, folders and other repositories take each other’s place, and no file is lost', async () => {
  const one = remote('vendored');
  let at = 1_600_000_000;
  const other = 'M 160000 0123456789012345678901234567890123456789 vendor';
  const file = (path: string) => `M 100644 inline ${path}\ndata ${path.length}\n${path}`;
  /** What is there goes, and this comes instead. */
  const become = (...changes: string[]) => {
    const head = `commit refs/heads/main\ncommitter Ann <ann@example.org> ${(at += 60)} +0000\ndata 1\nx`;
    one.feed([head, 'from refs/heads/main^0', 'D vendor', ...changes, ''].join('\n'));
  };
  const folder = () => become(file('vendor/a.c'), file('vendor/lib/b.c'));
  one.commit('main', 'start', { a: '1\n', 'vendor.txt': '1\n' });
  become(other);
  folder();
  become(other);
  const shown = await create('vendored', one.folder);
  expect(compare(one, shown)).toEqual([]);
  // The tree before is what Fossil says now.
  folder();
  expect(await pulled('vendored')).toMatchObject({ came: { checkins: 1 } });
  expect(compare(one, shown)).toEqual([]);
  become(file('vendor'));
  folder();
  become(file('vendor'));
  become(other);
  become(file('vendor'));
  become(file('vendor/vendor'));
  expect(await pulled('vendored')).toMatchObject({ came: { checkins: 6 } });
  expect(compare(one, shown)).toEqual([]);
});

// An unpacked archive has none.
test.runIf(existsSync(join(programHome, '.git')))(
  "this project's own history, in and out again",
  async () => {
    const folder = join(forge.root, 'own.git');
    // Of two branches that end in one commit Fossil has one: whoever runs this may have any.
    execFileSync('git', ['clone', '-q', '--bare', '--single-branch', programHome, folder]);
    if (asForgesUser().length > 0) execFileSync('chown', ['-R', '24001:24001', folder]);
    const own = makeRemote(folder, { exists: true });
    const shown = await create('self', own.folder);
    expect(compare(own, shown)).toEqual([]);
    expect(await roundTrip(own, shown, own.git('symbolic-ref', '--short', 'HEAD'))).toEqual([]);
  },
);

test('5,000 commits with side branches, in and out again', async () => {
  const one = remote('large');
  // The stream that the export is tested with calls the main branch master.
  one.feed([...gitHistory(5_000)].join(''));
  one.git('symbolic-ref', 'HEAD', 'refs/heads/master');
  const shown = await create('large', one.folder);
  expect(shown.checkins).toBe(5_000);
  expect(compare(one, shown, { every: 100 })).toEqual([]);
  expect(await roundTrip(one, shown, 'master')).toEqual([]);
}, 600_000);

test('what is new comes, once, with its branches and tags where they are there', async () => {
  const one = remote('follow');
  const first = one.commit('main', 'first', { a: '1\n' });
  one.commit('main', 'second', { a: '2\n', b: '1\n' });
  const shown = await create('follow', one.folder);
  expect(await pulled('follow')).toMatchObject({ ok: true, came: { checkins: 0, tags: 0 } });
  const before = query(shown.path, 'SELECT count(*) AS n FROM blob');

  // A branch that leaves from an old commit, in a later pull, is not the trunk's newest.
  one.commit('feature', 'aside', { c: '1\n' }, [first]);
  one.commit('feature', 'more', { c: '2\n' });
  one.git('tag', 'rolling', first);
  expect(await pulled('follow')).toMatchObject({ came: { checkins: 2, tags: 1 } });
  expect(compare(one, shown)).toEqual([]);
  const of = (rev: string) => marksOf(shown).get(one.git('rev-parse', `${rev}^{commit}`));
  expect(called(shown, 'trunk')).toBe(of('main'));
  expect(called(shown, 'feature')).toBe(of('feature'));

  // A merge, then the main branch moves on to it without a commit of its own; a tag is moved.
  const merge = one.commit('feature', 'merged', { d: '1\n' }, [one.tip('feature'), one.tip('main')]);
  one.git('tag', '-f', 'rolling', merge);
  await pulled('follow');
  expect(called(shown, 'trunk')).toBe(of('main'));
  one.commit('feature', 'goes on', { e: '1\n' });
  await pulled('follow');
  one.git('update-ref', 'refs/heads/main', merge);
  expect(await pulled('follow')).toMatchObject({ ok: true, came: { checkins: 0 } });
  expect(called(shown, 'trunk')).toBe(of(merge));
  expect(called(shown, 'feature')).toBe(of('feature'));
  expect(called(shown, 'rolling')).toBe(of(merge));
  one.commit('main', 'own again', { f: '1\n' });
  await pulled('follow');
  expect(called(shown, 'trunk')).toBe(of('main'));
  expect(compare(one, shown)).toEqual([]);

  // It is a repository as any other: people push to it, and what comes next does not touch theirs.
  const token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
  const folder = await someone.checkout(shown.cloneUrl, `admin:${token}`);
  await someone.commit(folder, 'local', 'mine\n');
  expect(await someone.push(folder)).toBe(true);
  one.commit('main', 'meanwhile', { g: '1\n' });
  await pulled('follow');
  expect(compare(one, shown, { others: 1 })).toEqual([]);
  expect(query(shown.path, 'SELECT count(*) AS n FROM blob WHERE size < 0')).toEqual([{ n: 0 }]);
  expect(
    query(shown.path, "SELECT name FROM config WHERE name GLOB 'sync*' OR name GLOB 'last-sync*'"),
  ).toEqual([]);
  expect(before).toEqual([{ n: 4 }]);
  const said = await forge.cli('upstream', 'show', 'follow');
  expect(said.stdout).toContain('1 check-in');
  expect(await forge.json('upstream', 'show', 'follow')).toMatchObject({
    upstream: { ok: true, error: null, kind: 'git', lastNews: { what: '1 check-in' } },
    imported: { main: 'main', commits: one.count() },
  });
});

test('a history that was rewritten changes nothing, until it is accepted', async () => {
  const one = remote('forced');
  const base = one.commit('main', 'base', { a: '1\n' });
  const lost = one.commit('main', 'lost', { a: '2\n' });
  const shown = await create('forced', one.folder);
  const state = () => query(shown.path, 'SELECT uuid FROM blob ORDER BY uuid');
  const before = state();
  one.git('update-ref', 'refs/heads/main', base);
  one.commit('main', 'instead', { a: '3\n' });
  one.commit('side', 'new beside', { b: '3\n' }, [base]);
  for (let times = 0; times < 2; times++) {
    const said = await pull('forced');
    expect(said.code).toBe(4);
    expect(said.stderr).toContain(`main from ${lost.slice(0, 10)}`);
    expect(said.stderr).toContain('1 commits are no longer part of it');
    expect(state()).toEqual(before);
  }
  const { upstream } = await forge.json<{ upstream: Record<string, unknown> }>('upstream', 'show', 'forced');
  expect(upstream).toMatchObject({ ok: false, errorKind: 'rewritten' });
  const whatToType = 'fossilrepo upstream accept forced';
  for (const asked of [['upstream', 'show', 'forced'], ['sync', 'forced'], ['status']]) {
    const said = await forge.cli(...asked);
    expect(said.stdout + said.stderr, asked.join(' ')).toContain(whatToType);
  }
  expect((await forge.cli('upstream', 'accept', 'forced')).code).toBe(2);
  expect(await forge.json('upstream', 'accept', 'forced', '--yes')).toMatchObject({ came: { checkins: 2 } });
  expect(compare(one, shown)).toEqual(['4 check-ins for 4 commits'].slice(1));
  expect(called(shown, 'trunk')).toBe(marksOf(shown).get(one.tip('main')));
  expect(state().length).toBeGreaterThan(before.length);
});

test('a main branch that is renamed there stops it, until it is accepted; from then on that is the trunk', async () => {
  const one = remote('renamed');
  one.git('symbolic-ref', 'HEAD', 'refs/heads/master');
  one.commit('master', 'one', { a: '1\n' });
  one.commit('side', 'beside', { b: '1\n' }, [one.tip('master')]);
  one.commit('master', 'two', { a: '2\n' });
  const shown = await create('renamed', one.folder);
  const state = () => query(shown.path, 'SELECT uuid FROM blob ORDER BY uuid');
  const checkinOf = (branch: string) => marksOf(shown).get(one.tip(branch));
  const branchesHere = () =>
    query(
      shown.path,
      "SELECT DISTINCT value FROM tagxref JOIN tag USING (tagid) WHERE tagname = 'branch' AND tagtype > 0 ORDER BY value",
    ).map(({ value }) => value);
  const main = async () =>
    (await forge.json<{ imported: { main: string } }>('upstream', 'show', 'renamed')).imported.main;
  const accepted = () => forge.json('upstream', 'accept', 'renamed', '--yes');
  const before = state();
  // HEAD goes with it.
  one.git('branch', '-m', 'master', 'main');
  for (let times = 0; times < 2; times++) {
    const said = await pull('renamed');
    expect(said.code).toBe(4);
    expect(said.stderr).toContain('master, which is the trunk here, is gone (the main branch is main now)');
    expect(said.stderr).toContain('fossilrepo upstream accept renamed');
  }
  expect(await main()).toBe('master');
  expect(await accepted()).toMatchObject({ came: { checkins: 0 } });
  expect(state()).toEqual(before);
  expect(await main()).toBe('main');
  one.commit('main', 'three', { a: '3\n' });
  expect(await pulled('renamed')).toMatchObject({ ok: true, came: { checkins: 1 } });
  expect(called(shown, 'trunk')).toBe(checkinOf('main'));
  expect(branchesHere()).toEqual(['side', 'trunk']);

  // Again, and it has gone on there when it is accepted.
  one.git('branch', '-m', 'main', 'release');
  one.commit('release', 'four', { a: '4\n' });
  one.commit('side', 'more', { b: '2\n' });
  expect((await pull('renamed')).code).toBe(4);
  expect(await accepted()).toMatchObject({ came: { checkins: 2 } });
  expect(called(shown, 'trunk')).toBe(checkinOf('release'));
  expect(called(shown, 'side')).toBe(checkinOf('side'));
  expect(branchesHere()).toEqual(['side', 'trunk']);
  expect(compare(one, shown)).toEqual([]);

  // What was accepted before without another main branch.
  const forgotten = `UPDATE git_import SET main = 'main' WHERE repository = '${shown.id}' RETURNING 1`;
  expect(query(managed(), forgotten)).toHaveLength(1);
  expect(await accepted()).toMatchObject({ came: { checkins: 0 } });
  expect(await main()).toBe('release');

  // Another branch that was here before is the main one.
  one.git('symbolic-ref', 'HEAD', 'refs/heads/side');
  one.git('update-ref', '-d', 'refs/heads/release');
  expect((await pull('renamed')).code).toBe(4);
  expect(await accepted()).toMatchObject({ came: { checkins: 0 } });
  expect(called(shown, 'trunk')).toBe(checkinOf('side'));
  one.commit('side', 'the trunk goes on', { b: '3\n' });
  expect(await pulled('renamed')).toMatchObject({ came: { checkins: 1 } });
  expect(called(shown, 'trunk')).toBe(checkinOf('side'));
  expect(compare(one, shown)).toEqual([]);

  // Tags alone are no history to go on with.
  one.git('tag', 'last', 'side');
  one.git('update-ref', '-d', 'refs/heads/side');
  for (const asked of [['pull'], ['accept', '--yes']]) {
    const said = await forge.cli('upstream', ...asked.slice(0, 1), 'renamed', ...asked.slice(1));
    expect(said.code).toBe(4);
    expect(said.stderr).toContain('has no branch any more');
  }
});

test('marks that are gone stop it: nothing is imported twice', async () => {
  const one = remote('marks');
  one.commit('main', 'one', { a: '1\n' });
  one.commit('main', 'two', { a: '2\n' });
  const shown = await create('marks', one.folder);
  const database = managed();
  const [lost] = query(
    database,
    `DELETE FROM import_mark WHERE repository = '${shown.id}' AND git = '${one.tip('main')}' RETURNING git, fossil`,
  );
  one.commit('main', 'three', { a: '3\n' });
  const said = await pull('marks');
  expect(said.code).toBe(1);
  expect(said.stderr).toContain('2 commits were imported, and the check-ins of 1 are known');
  expect(query(shown.path, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 2 }]);
  query(
    database,
    `INSERT INTO import_mark VALUES ('${shown.id}', '${String(lost?.['git'])}', '${String(lost?.['fossil'])}') RETURNING 1`,
  );
  // What was fetched is derived: without it the same comes.
  execFileSync('rm', ['-r', join(forge.root, 'var/lib/fossilrepo/upstream', shown.id)]);
  expect(await pulled('marks')).toMatchObject({ came: { checkins: 1 } });
  expect(compare(one, shown)).toEqual([]);
  await forge.json('upstream', 'remove', 'marks', '--yes');
  one.commit('main', 'four', { a: '4\n' });
  await forge.json('upstream', 'set', 'marks', one.folder);
  expect(compare(one, shown)).toEqual([]);
  await forge.json('repo', 'create', 'plain');
  expect((await forge.cli('upstream', 'set', 'plain', one.folder)).code).toBe(2);
  await forge.json('repo', 'delete', 'marks', '--yes');
  await forge.json('repo', 'purge', 'marks', '--yes');
  for (const table of ['upstream', 'git_import', 'import_mark', 'import_ref'])
    expect(query(database, `SELECT 1 FROM ${table} WHERE repository = '${shown.id}'`)).toEqual([]);
});

test('killed at any moment and run again there is every commit once', async () => {
  const one = remote('killed');
  for (let index = 0; index < 5; index++) one.commit('main', `start ${index}`, { a: `${index}\n` });
  const shown = await create('killed', one.folder);
  one.commit('main', 'timed', { a: 'timed\n' });
  const begun = performance.now();
  await pulled('killed');
  const took = performance.now() - begun;
  let interrupted = 0;
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 20; index++)
      one.commit(index % 3 === 0 ? `side-${round}` : 'main', `${round} ${index}`, {
        [`f${index}`]: `${round}\n`,
      });
    const said = await forge.killed(took * (0.15 + round * 0.08), 'upstream', 'pull', 'killed');
    if (said.code === null) interrupted += 1;
    // Meanwhile it goes on there, so that a second import would be another one.
    if (round % 2 === 0) one.git('update-ref', `refs/heads/late-${round}`, one.tip('main'));
    one.commit('main', `after ${round}`, { late: `${round}\n` });
  }
  await pulled('killed');
  expect(interrupted).toBeGreaterThan(4);
  expect(compare(one, shown)).toEqual([]);
  const creating = remote('create-killed');
  for (let index = 0; index < 30; index++) creating.commit('main', `start ${index}`, { a: `${index}\n` });
  for (const after of [300, 600, 900, 1200])
    await forge.killed(after, 'repo', 'create', 'half', '--from', creating.folder);
  const half = await forge.cli('--json', 'repo', 'create', 'half', '--from', creating.folder);
  const made =
    half.code === 0 ? (JSON.parse(half.stdout) as Shown) : await forge.json<Shown>('repo', 'show', 'half');
  expect(compare(creating, made)).toEqual([]);
});

test('over HTTP with a token, which is nowhere to be read afterwards; a refused one is said and changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'served-'));
  // Nothing in the address says that it is Git.
  const one = makeRemote(join(folder, 'plain-name'), { ours: true });
  one.commit('main', 'one', { a: '1\n' });
  await using server = await startGitHttp(folder, {
    ann: { password: 'tok3n-of-ann', may: 'read' },
  });
  const address = (password: string) => server.url('plain-name').replace('://', `://ann:${password}@`);
  const refused = await forge.cli('repo', 'create', 'http', '--from', address('wr0ng-one'));
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('refused the credential');
  expect(refused.stderr).not.toContain('wr0ng');
  const shown = await create('http', address('tok3n-of-ann'));
  expect(shown.upstream).toBe(server.url('plain-name'));
  one.commit('main', 'two', { a: '2\n' });
  expect(await pulled('http')).toMatchObject({ came: { checkins: 1 } });
  expect(compare(one, shown)).toEqual([]);
  const found = spawnSync('grep', [
    '-rla',
    'tok3n-of-ann',
    join(forge.root, 'data'),
    join(forge.root, 'var'),
    join(forge.root, 'etc'),
    join(forge.root, 'run'),
  ]);
  expect(found.stdout.toString()).toBe('');
  expect(forge.log()).not.toContain('tok3n');
  const { upstream } = await forge.json<{ upstream: object }>('upstream', 'show', 'http');
  expect(upstream).toMatchObject({ credential: 'token or password', user: 'ann' });
  await server[Symbol.asyncDispose]();
  const down = await pull('http');
  expect(down.code).toBe(1);
  expect(down.stderr).toContain('nobody answers');
  const after = await forge.json<{ upstream: { nextTry: string; lastTry: string } }>(
    'upstream',
    'show',
    'http',
  );
  expect(Date.parse(after.upstream.nextTry) - Date.parse(after.upstream.lastTry)).toBeGreaterThan(55_000);
  expect(after.upstream).toMatchObject({ ok: false, errorKind: 'unreachable' });
  expect(query(shown.path, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 2 }]);
  rmSync(folder, { recursive: true });
});

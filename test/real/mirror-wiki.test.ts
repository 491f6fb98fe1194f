import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { asForgesUser, startForge, type TestForge } from './forge.ts';
import { query } from './support/fossil-lab.ts';
import { startGitHttp } from './support/git-servers.ts';

const secret = 'tok-0123456789abcdef0123456789abcdef01234567';

let forge: TestForge;
let folder: string;
let git: Awaited<ReturnType<typeof startGitHttp>>;
let there: string;

beforeAll(async () => {
  forge = await startForge();
  folder = mkdtempSync(join(tmpdir(), 'git-'));
  git = await startGitHttp(folder, { oauth2: { password: secret, may: 'push' } });
  await forge.json('repo', 'create', 'demo');
  await forge.stop();
  there = join(forge.root, 'there.git');
  must([], 'git', 'init', '-q', '--bare', there);
});
afterAll(async () => {
  await git[Symbol.asyncDispose]();
  await forge[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program as the server's user. @param input what it reads @returns what it said */
function must([input = '']: string[], ...argv: string[]): string {
  const [file = '', ...args] = [...asForgesUser(), ...argv];
  const env = { ...process.env, HOME: forge.root, USER: 'admin' };
  return execFileSync(file, args, { encoding: 'utf8', cwd: forge.root, env, input }).trim();
}
const fossilFile = () => join(forge.root, 'data/repos/demo.fossil');
const wiki = (verb: 'create' | 'commit', page: string, text: string, type = 'text/x-fossil-wiki') =>
  must([text], 'fossil', 'wiki', verb, page, '-', '-M', type, '-R', fossilFile());
const inGit = (repository: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'safe.directory=*', '-C', repository, ...args], { encoding: 'utf8' }).trim();
const branch = 'refs/heads/fossil-wiki';
type Run = {
  part: string;
  why: string;
  error: string | null;
  refs: object[];
  commits: number;
  bytes: number;
};
const wikiRuns = async (mirror: string) =>
  (await forge.json<{ runs: Run[] }>('mirror', 'log', 'demo', mirror)).runs.filter(
    ({ part }) => part === 'wiki',
  );

type Part = { part: string; count: number; did: string; error: string | null };
type Synced = {
  results: { mirror: string; ok: boolean; pushed: number; error: string | null; parts: Part[] }[];
};
const sync = async (mirror: string) => {
  const said = await forge.cli('--json', 'sync', 'demo');
  const found = (JSON.parse(said.stdout) as Synced).results.find((one) => one.mirror === mirror);
  if (!found) throw new Error(said.stderr);
  return found;
};

test('pages and attached files come to a branch of their own, with their history', async () => {
  wiki('create', 'Start page', '<b>Hello</b> [Other page|there]\n');
  wiki('create', 'Other page', '# Other\n\n[back](wiki:Start+page)\n', 'text/x-markdown');
  wiki('create', 'secret/plan', 'x\n');
  wiki('commit', 'Start page', 'Second *version* [Other page]\n');
  must(['a picture'], 'sh', '-c', 'cat >photo.png');
  must([], 'fossil', 'attachment', 'add', 'Start page', 'photo.png', '-R', fossilFile());
  const added = await forge.cli('mirror', 'add', 'demo', there, '--name', 'folder', '--wiki');
  expect(added.code, added.stderr).toBe(0);
  expect((await forge.cli('sync', 'demo', '--dry-run')).stdout).toContain('push the wiki');
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ part: 'wiki', did: '3 pages' }] });
  expect(inGit(there, 'ls-tree', '-r', '--name-only', branch).split('\n')).toEqual([
    'Other-page.md',
    'Start-page.md',
    'attachments/Start-page/photo.png',
    'secret-plan.md',
  ]);
  expect(inGit(there, 'show', `${branch}:Start-page.md`)).toBe(
    'Second &#42;version&#42; [Other page](<Other-page.md>)',
  );
  expect(inGit(there, 'show', `${branch}:Other-page.md`)).toBe('# Other\n\n[back](Start-page.md)');
  expect(inGit(there, 'show', `${branch}:attachments/Start-page/photo.png`)).toBe('a picture');
  expect(inGit(there, 'log', '--reverse', '--format=%s', branch).split('\n').slice(0, 4)).toEqual([
    'Write Start page',
    'Write Other page',
    'Write secret/plan',
    'Write Start page',
  ]);
  expect(inGit(there, 'log', '-1', '--format=%an', branch)).toBe('admin');
  expect(inGit(there, 'log', '-1', '--format=%b', branch)).toMatch(/^FossilOrigin-Name: [0-9a-f]{40,64}$/);
  const commits = Number(inGit(there, 'rev-list', '--count', branch));
  const [run, ...others] = await wikiRuns('folder');
  const moved = { ref: branch, from: null, to: inGit(there, 'rev-parse', branch) };
  expect(run).toMatchObject({ why: 'asked', error: null, refs: [moved], commits });
  expect(run?.bytes).toBeGreaterThan(0);
  expect(others).toEqual([]);
}, 60_000);

test('a push of code leaves it, another run finds nothing to do, and a lost cache makes the same commits', async () => {
  const before = inGit(there, 'rev-parse', branch);
  const work = join(forge.root, 'work');
  must([], 'mkdir', work);
  must(
    [],
    'sh',
    '-c',
    `cd '${work}' && fossil open '${fossilFile()}' --nosync && echo x >x && fossil add x && fossil commit -m x --no-warnings --nosync`,
  );
  expect(await sync('folder')).toMatchObject({ ok: true, pushed: 1, parts: [{ part: 'wiki', did: '' }] });
  expect(inGit(there, 'rev-parse', branch)).toBe(before);
  const verified = await forge.cli('mirror', 'verify', 'demo');
  expect(verified.code, verified.stdout).toBe(0);
  expect(verified.stdout).not.toContain('not from here now');
  rmSync(join(forge.root, 'var/lib/fossilrepo/mirror'), { recursive: true });
  expect(await sync('folder')).toMatchObject({ ok: true, pushed: 0, parts: [{ part: 'wiki', did: '' }] });
  expect(inGit(there, 'rev-parse', branch)).toBe(before);
  // What found nothing to do is no run.
  expect(await wikiRuns('folder')).toHaveLength(1);
});

test('what many changes of pages leave is joined: git slows down with each pack', async () => {
  const [id] = query(fossilFile(), "SELECT value FROM config WHERE name = 'fossilrepo-id'");
  const cache = join(forge.root, 'var/lib/fossilrepo/mirror', String(id?.['value']), 'wiki/git');
  const packs = () => readdirSync(join(cache, 'objects/pack')).filter((name) => name.endsWith('.pack'));
  const one = 'echo $n | git hash-object -w --stdin | git pack-objects -q objects/pack/pack';
  must([], 'sh', '-c', `cd '${cache}' && for n in $(seq 30); do ${one}; done`);
  expect(packs().length).toBeGreaterThan(30);
  const before = Number(inGit(there, 'rev-list', '--count', branch));
  wiki('commit', 'Start page', 'Third version\n');
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ part: 'wiki', did: '3 pages' }] });
  expect(packs().length).toBeLessThan(10);
  expect(Number(inGit(there, 'rev-list', '--count', branch))).toBe(before + 1);
}, 60_000);

test('a page that is deleted or shunned goes, one that waits for a moderator does not come', async () => {
  wiki('commit', 'secret/plan', '');
  wiki('create', 'Spam', 'Buy!\n');
  must(
    [],
    'sqlite3',
    fossilFile(),
    "INSERT INTO private SELECT x.rid FROM tagxref x JOIN tag t USING (tagid) WHERE t.tagname = 'wiki-Spam'",
  );
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ did: '2 pages' }] });
  expect(inGit(there, 'ls-tree', '-r', '--name-only', branch)).not.toMatch(/secret|Spam/);
  expect(inGit(there, 'log', '--format=%s', branch)).not.toContain('Spam');
  must([], 'sqlite3', fossilFile(), 'DELETE FROM private');
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ did: '3 pages' }] });
  // What is shunned goes at once, though Fossil keeps it until a rebuild.
  const spam =
    "SELECT b.uuid FROM tagxref x JOIN tag t USING (tagid) JOIN blob b USING (rid) WHERE tagname = 'wiki-Spam'";
  must(
    [],
    'sqlite3',
    fossilFile(),
    `INSERT INTO shun SELECT uuid, 0, '' FROM (${spam} UNION SELECT src FROM attachment)`,
  );
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ did: '2 pages' }] });
  expect(inGit(there, 'ls-tree', '-r', '--name-only', branch)).not.toMatch(/Spam|photo/);
  expect(inGit(there, 'log', '--format=%s', branch)).not.toContain('Spam');
  must([], 'sqlite3', fossilFile(), 'DELETE FROM shun');
  expect(await sync('folder')).toMatchObject({ ok: true, parts: [{ did: '3 pages' }] });
  expect(inGit(there, 'ls-tree', '-r', '--name-only', branch)).toMatch(/Spam[^]*photo/);
  expect((await forge.cli('mirror', 'show', 'demo')).stdout).toContain(
    'wiki            3 pages in branch fossil-wiki',
  );
});

test('a host’s own repository for wikis: without it code goes on; its first page may go, other people’s stay', async () => {
  const [code, pages] = [join(folder, 'me/demo.git'), join(folder, 'me/demo.wiki.git')];
  mkdirSync(join(folder, 'me'));
  execFileSync('git', ['init', '-q', '--bare', code]);
  const add = ['mirror', 'add', 'demo', git.url('me/demo.git'), '--name', 'host', '--wiki', '--token-stdin'];
  const said = await forge.told(secret, ...add, '--host-kind', 'github');
  expect(said.code, said.stderr).toBe(0);
  const failed = await sync('host');
  expect(failed).toMatchObject({ ok: false, pushed: 1 });
  expect(failed.error).toContain('wiki: ');
  expect(failed.error).toContain('no such repository');
  expect(inGit(code, 'rev-parse', 'main')).toBe(inGit(there, 'rev-parse', 'main'));
  expect((await forge.cli('status')).stdout).toContain('the wiki of demo to host');
  const list = await forge.cli('mirror', 'list', 'demo');
  expect(list.stdout).toMatch(/^demo +host +failing .* 0 +(now|in \d\S*) /m);
  expect(list.stdout).toMatch(/^demo to host, wiki: .*no such repository/m);
  expect((await wikiRuns('host'))[0]?.error).toContain('no such repository');
  // As GitHub has it after somebody wrote its first page.
  execFileSync('git', ['init', '-q', '--bare', '-b', 'master', pages]);
  const clone = mkdtempSync(join(tmpdir(), 'clone-'));
  const commit = (text: string) => {
    execFileSync('sh', ['-c', `echo '${text}' >Home.md`], { cwd: clone });
    inGit(clone, 'add', '.');
    inGit(clone, '-c', 'user.name=Eve', '-c', 'user.email=e@x', 'commit', '-q', '-m', text);
    inGit(clone, 'push', '-q', 'origin', 'HEAD:master');
  };
  execFileSync('git', ['clone', '-q', pages, clone], { stdio: 'ignore' });
  commit('first page');
  const replaced = expect.stringMatching(
    /^3 pages, overwrote refs\/heads\/master \(one foreign commit: \w{10} Eve: first page\)$/,
  ) as string;
  expect(await sync('host')).toMatchObject({ ok: true, parts: [{ did: replaced }] });
  expect(inGit(pages, 'rev-parse', 'master')).toBe(inGit(there, 'rev-parse', branch));
  inGit(clone, 'fetch', '-q', 'origin');
  inGit(clone, 'reset', '-q', '--hard', 'origin/master');
  commit('somebody’s work');
  const theirs = inGit(pages, 'rev-parse', 'master');
  wiki('commit', 'Other page', 'third\n', 'text/x-markdown');
  const refused = await sync('host');
  expect(refused.error).toContain('not pushed from here');
  expect(inGit(pages, 'rev-parse', 'master')).toBe(theirs);
  // The other mirror has it all the same.
  expect(inGit(there, 'show', `${branch}:Other-page.md`)).toBe('third');
  expect((await forge.cli('mirror', 'configure', 'demo', 'host', '--on-divergence', 'overwrite')).code).toBe(
    0,
  );
  expect(await sync('host')).toMatchObject({ ok: true });
  expect(inGit(pages, 'rev-parse', 'master')).toBe(inGit(there, 'rev-parse', branch));
  expect((await wikiRuns('host')).map(({ error, refs }) => [error === null, refs.length])).toEqual([
    ...[
      [true, 1],
      [false, 0],
      [true, 1],
      [false, 0],
    ],
  ]);
  renameSync(pages, `${pages}.away`);
  expect((await forge.cli('mirror', 'configure', 'demo', 'host', '--wiki', 'branch')).code).toBe(0);
  expect(await sync('host')).toMatchObject({ ok: true, parts: [{ did: '3 pages' }] });
  expect(inGit(code, 'rev-parse', branch)).toBe(inGit(there, 'rev-parse', branch));
  expect(existsSync(pages)).toBe(false);
  rmSync(clone, { recursive: true });
});

test('an empty wiki gets the branch that its host waits for', async () => {
  const pages = join(folder, 'me/fresh.wiki.git');
  execFileSync('git', ['init', '-q', '--bare', join(folder, 'me/fresh.git')]);
  // As Gitea makes one since 1.22, whose settings say what it is called.
  execFileSync('git', ['init', '-q', '--bare', '-b', 'trunk', pages]);
  const add = ['mirror', 'add', 'demo', git.url('me/fresh.git'), '--name', 'fresh', '--token-stdin'];
  const said = await forge.told(secret, ...add, '--wiki', '--host-kind', 'gitea');
  expect(said.code, said.stderr).toBe(0);
  expect(await sync('fresh')).toMatchObject({ ok: true, parts: [{ did: '3 pages' }] });
  expect(inGit(pages, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/trunk');
  expect(inGit(pages, 'rev-parse', 'HEAD')).toBe(inGit(there, 'rev-parse', branch));
});

test('a wiki whose code is refused at first comes with it, and is not told as there before', async () => {
  const late = join(forge.root, 'late.git');
  must([], 'git', 'init', '-q', '--bare', late);
  const hook = join(late, 'hooks/update');
  must(['#!/bin/sh\nexit 1\n'], 'sh', '-c', `cat >'${hook}' && chmod +x '${hook}'`);
  expect((await forge.cli('mirror', 'add', 'demo', late, '--name', 'late', '--wiki')).code).toBe(0);
  expect(await sync('late')).toMatchObject({ ok: false, parts: [] });
  const show = ['mirror', 'show', 'demo', 'late'];
  const { mirror } = await forge.json<{ mirror: { wiki: { lastSuccess: string | null } } }>(...show);
  expect(mirror.wiki.lastSuccess).toBe(null);
  must([], 'rm', hook);
  const now = "UPDATE mirror SET next_try_at = 1 WHERE name = 'late' RETURNING 1";
  expect(query(pathsUnder(forge.root).database, now)).toHaveLength(1);
  expect((await forge.cli('sync', '--due')).code).toBe(0);
  expect(inGit(late, 'rev-parse', branch)).toBe(inGit(there, 'rev-parse', branch));
});

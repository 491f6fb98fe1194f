import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Person, newPerson, type Shown } from './client.ts';
import { eventually, nobody, startForge, type TestForge } from './forge.ts';
import { measured } from './processes.ts';
import { query, serve, type Served } from './support/fossil-lab.ts';
import { mirrorDifferences } from './support/git-compare.ts';
import { gitHistory } from './support/git-history.ts';
import { makeRemote, oddHistory, type Remote } from './support/git-remote.ts';
import { startGitHttp, startSshd } from './support/git-servers.ts';
import { startIssueHost } from './support/issue-host.ts';
import { type MirrorLab, mirrorLab, oddNames } from './support/mirror-lab.ts';
import { placesOf, watchPlacesOf } from './support/places-of.ts';

/** Made here, so that no environment and no file has them before. */
const token = `glpat-${randomUUID()}`;
const password = `pw-${randomUUID()}`;

let forge: TestForge;
let someone: Person;
let remotes: string;
let https: Awaited<ReturnType<typeof startGitHttp>>;
let sshd: Awaited<ReturnType<typeof startSshd>>;
let host: Awaited<ReturnType<typeof startIssueHost>>;
/** Somebody else's server, with the repository that is followed. */
let lab: MirrorLab;
let theirs: Served;
let project: Awaited<ReturnType<MirrorLab['open']>>;
let big: Shown;
let there: Record<'folder' | 'ssh' | 'web', Remote>;
/** What ends looking where a secret shows, and says it. */
let seen: (() => Promise<string[]>)[];

/** Ends, in the opposite order, all that was begun. */
const room = new AsyncDisposableStack();

beforeAll(async () => {
  someone = room.use(newPerson());
  remotes = join(someone.home, 'remotes');
  mkdirSync(remotes);
  https = room.use(
    await startGitHttp(remotes, { oauth2: { password: token, may: 'push' } }, { https: true }),
  );
  chmodSync(dirname(https.roots), 0o755);
  sshd = room.use(await startSshd());
  const key = readFileSync(join(dirname(https.roots), 'key.pem'));
  const made = (path: string) => [path, `${path}.wiki`].forEach(bare);
  const tls = { key, cert: readFileSync(https.roots) };
  host = room.use(await startIssueHost('gitlab', { token, pageSize: 2, made, tls }));
  const env = { FOSSILREPO_CACHE: join(tmpdir(), `fossilrepo-cache-${nobody}`), SSL_CERT_FILE: https.roots };
  forge = room.use(await startForge({ as: nobody, env }));
  lab = room.use(mirrorLab());
  project = await oddProject();
  theirs = await serve(lab.forge.paths.repos, join(lab.root, 'home'));
  room.defer(theirs.stop);
  // From here on: whoever made that project wrote the password into a command.
  seen = [token, password].map((secret) => watchPlacesOf(secret, forge.root, 250));
}, 400_000);
afterAll(() => room.disposeAsync());

/** A bare repository at the server that is asked by HTTPS. */
function bare(path: string): void {
  mkdirSync(join(remotes, dirname(path)), { recursive: true });
  makeRemote(join(remotes, `${path}.git`), { ours: true });
}

/** Over 5,000 check-ins with everything odd that Fossil lets anybody do. */
async function oddProject() {
  const { file, row } = await lab.imported(gitHistory(5_000, 1, 40));
  const made = await lab.open(file, row);
  const { fossil, write, commit } = made;
  await fossil('settings', 'allow-symlinks', 'on');
  await fossil('update', 'master');
  for (const name of oddNames) write(name, `${name}\n`);
  write('binary', Buffer.from([0, 255, 10, 13, 0, 128]));
  write('run', '#!/bin/sh\n');
  chmodSync(join(made.checkout, 'run'), 0o755);
  symlinkSync('with space', join(made.checkout, 'link'));
  const base = await commit('ümläut <angle> & [links]\n\nand "more" \\ lines', '--branch', 'trunk');
  // Two lines of one branch, one of them of another time.
  write('a', '1');
  const line = await commit('one line');
  await fossil('update', base);
  write('b', '1');
  await commit('late, with an old date', '--date-override', '1999-12-31 23:59:59');
  for (const branch of ['Wild thing', 'foo', 'foo/bar', 'x.lock', 'main', 'Case', 'case', 'ünï'])
    await commit(`on ${branch}`, '--branch', branch);
  await fossil('update', line);
  await fossil('merge', 'foo');
  write('a', '2');
  const tip = await commit('merged', '--tag', 'v1');
  for (const [name, hash] of Object.entries({ 'a tag': base, 'rel~1': line, moved: base, gone: tip }))
    await fossil('tag', 'add', name, hash);
  await fossil('tag', 'add', 'moved', tip);
  await fossil('tag', 'cancel', 'gone', tip);
  await fossil('update', 'trunk');
  for (const title of ['One', 'Two', 'Three'])
    await fossil('ticket', 'add', 'title', title, 'status', 'Open', 'comment', `About ${title}.`, '-R', file);
  await lab.must(['sh', '-c', `echo '# Start' | fossil wiki create Start - -M text/x-markdown -R ${file}`]);
  await fossil('user', 'new', 'ann', 'Ann', password, '-R', file);
  await fossil('user', 'capabilities', 'ann', 'go', '-R', file);
  for (const stranger of ['nobody', 'anonymous'])
    await fossil('user', 'capabilities', stranger, '', '-R', file);
  return made;
}

const names = ['folder', 'ssh', 'web'] as const;
type Listed = {
  mirrors: {
    name: string;
    ok: boolean | null;
    behind: number | null;
    refsBehind: number | null;
    error: string | null;
  }[];
};
const listed = async (): Promise<Listed['mirrors']> =>
  (await forge.json<Listed>('mirror', 'list', 'big')).mirrors;
const isCurrent = async (...names: string[]): Promise<boolean> =>
  (await listed()).every(
    ({ name, ok, behind, refsBehind }) =>
      !names.includes(name) || (ok === true && behind === 0 && refsBehind === 0),
  );
const refs = ({ git }: Remote): string =>
  git('for-each-ref', '--format=%(refname) %(objectname)', 'refs/heads', 'refs/tags');
const has = (remote: Remote, checkin: string): boolean =>
  remote.git('log', '--all', '--format=%H', `--grep=FossilOrigin-Name: ${checkin}`) !== '';
/** Which tickets have how many issues, and with what title and how many comments. */
const issues = () =>
  host
    .project('me/big')
    .issues.map(({ title, comments, open }) => ({ title, comments: comments.length, open }));

/**
 * A command that has to work. The server itself may be at work on the same, and is waited for; that Fossil now and then finds the file locked is
 * told as something to be run again.
 */
async function asked(...args: string[]): Promise<void> {
  const works = async (): Promise<boolean> => {
    const { code, stdout, stderr } = await forge.cli(...args);
    const busy = /Another fossilrepo is at work|database is locked/.test(`${stdout}${stderr}`);
    if (code !== 0 && !busy) throw new Error(`${args.join(' ')} answered ${code}: ${stdout}${stderr}`);
    return code === 0;
  };
  await eventually(works, 120_000, args.join(' '));
}

/** One is compared file by file; the others have the same hashes, and what Git needs for them. */
function areEqual(): void {
  const began = performance.now();
  expect(mirrorDifferences(there.folder, big.path)).toEqual([]);
  for (const name of ['ssh', 'web'] as const) {
    expect(refs(there[name])).toBe(refs(there.folder));
    there[name].git('fsck', '--full', '--strict');
  }
  const { length } = refs(there.folder).split('\n');
  const commits = there.folder.count();
  measured(
    `${commits} commits and ${length} refs were compared in ${Math.round((performance.now() - began) / 100) / 10} s`,
  );
  expect(query(big.path, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: commits }]);
}

test('a repository of over 5,000 check-ins that follows a Fossil upstream is mirrored to a folder, by SSH and by HTTPS', async () => {
  const from = `http://localhost:${theirs.port}/r1`;
  const follow = ['--from', from, '--follow', '--user', 'ann', '--token-stdin', '--schedule', '1m'];
  const created = await forge.told(password, '--json', 'repo', 'create', 'big', ...follow);
  expect(created.code, created.stderr).toBe(0);
  big = JSON.parse(created.stdout) as Shown;
  expect(big.checkins).toBeGreaterThan(5_000);
  const folder = makeRemote(join(forge.root, 'folder.git'), { ours: true });
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', String(nobody), folder.folder]);
  bare('ssh');
  there = {
    folder,
    ssh: makeRemote(join(remotes, 'ssh.git'), { ours: true, exists: true }),
    web: makeRemote(join(remotes, 'me/big.git'), { ours: true, exists: true }),
  };
  await forge.json('mirror', 'add', 'big', folder.folder, '--name', 'folder');
  const bySsh = ['mirror', 'add', 'big', sshd.url(there.ssh.folder), '--name', 'ssh', '--yes'];
  sshd.authorize((await forge.cli(...bySsh)).stdout.trim());
  await forge.json(...bySsh);
  const api = [
    '--host-kind',
    'gitlab',
    '--api',
    host.url,
    '--token-stdin',
    '--create',
    '--tickets',
    '--wiki',
  ];
  const byWeb = ['mirror', 'add', 'big', https.url('me/big.git'), '--name', 'web', ...api];
  const said = await forge.told(token, ...byWeb);
  expect(said.code, said.stderr).toBe(0);
  const took = await eventually(() => isCurrent(...names), 200_000, 'they are all there');
  measured(`${big.checkins} check-ins were on three mirrors after ${Math.round(took / 100) / 10} s`);
  await eventually(() => issues().length === 3, 60_000, 'the tickets, too');
  areEqual();
}, 400_000);

test('while one remote is down the others get what is pushed, and it is told', async () => {
  const { token } = await forge.json<{ token: string }>('user', 'token', 'admin');
  const folder = await someone.checkout(big.cloneUrl, `admin:${token}`);
  await sshd.stop();
  const late = ['commit', '--allow-empty', '--allow-older', '--no-warnings', '--date-override', '2001-02-03'];
  const said = await someone.fossil(folder, ...late, '--user-override', 'admin', '-m', 'late');
  const [, pushed = said.stdout + said.stderr] = /New_Version: (\w+)/.exec(said.stdout) ?? [];
  expect(await someone.push(folder)).toBe(true);
  for (const name of ['folder', 'web'] as const)
    await eventually(() => has(there[name], pushed), 200_000, `${pushed} arrives at ${name}`);
  await eventually(() => isCurrent('folder', 'web'), 60_000, 'they are known to be current');
  const down = async () => (await listed()).find(({ name }) => name === 'ssh');
  await eventually(async () => (await down())?.ok === false, 60_000, 'it is known to be down');
  expect(await down()).toMatchObject({
    behind: 1,
    error: expect.stringContaining('nobody answers') as string,
  });
  expect((await forge.cli('status')).stdout).toContain('Not mirrored: big to ssh');
  expect(has(there.ssh, pushed)).toBe(false);
  await sshd.start();
}, 400_000);

test('a Git upstream is followed as well, and goes on to a mirror', async () => {
  const [from, to] = ['odd', 'odd-mirror'].map((name) => {
    bare(name);
    return makeRemote(join(remotes, `${name}.git`), { ours: true, exists: true });
  }) as [Remote, Remote];
  from.feed(oddHistory());
  const follow = ['--from', https.url('odd.git'), '--token-stdin'];
  const created = await forge.told(token, '--json', 'repo', 'create', 'odd', ...follow);
  expect(created.code, created.stderr).toBe(0);
  const added = await forge.told(token, 'mirror', 'add', 'odd', https.url('odd-mirror.git'), '--token-stdin');
  expect(added.code, added.stderr).toBe(0);
  await asked('sync', 'odd');
  from.commit('main', 'from upstream', { new: '1\n' });
  await asked('sync', 'odd');
  expect(to.git('show', 'refs/heads/main:new')).toBe('1');
  expect(to.count()).toBe(from.count());
  const { path } = JSON.parse(created.stdout) as Shown;
  expect(mirrorDifferences(to, path)).toEqual([]);
}, 400_000);

test('what comes from the Fossil upstream goes on as well: a ticket that was edited twice is still one issue', async () => {
  const [ticket] = query(project.file, 'SELECT tkt_uuid FROM ticket ORDER BY tkt_id');
  for (const change of [
    ['title', 'One, edited'],
    ['title', 'One, edited twice', '+icomment', 'more', 'status', 'Closed'],
  ]) {
    await project.fossil('ticket', 'set', String(ticket?.['tkt_uuid']), ...change, '-R', project.file);
    project.write('from upstream', change.join());
    // What was pushed here has another place to go on from: a fork.
    const hash = await project.commit('from upstream', '--tag', 'v2');
    await asked('upstream', 'pull', 'big');
    await eventually(() => issues().some(({ title }) => title === change[1]), 200_000, `it is ${change[1]}`);
    await eventually(() => has(there.folder, hash), 60_000, 'the check-in is there, too');
  }
  const one = { title: 'One, edited twice', comments: 1, open: false };
  const others = ['Three', 'Two'].map((title) => ({ title, comments: 0, open: true }));
  expect(issues().toSorted((a, b) => a.title.localeCompare(b.title))).toEqual([one, ...others]);
  expect(host.violations).toEqual([]);
}, 400_000);

test('the one that was down gets all of it by itself, and all three are equal to the repository', async () => {
  await eventually(() => isCurrent(...names), 400_000, 'all three have it');
  areEqual();
}, 500_000);

test('what lets it push and pull was nowhere but in the files that git reads it from', async () => {
  const places = (await Promise.all(seen.map((end) => end()))).flat();
  expect(places.length).toBeGreaterThan(0);
  expect(places.filter((path) => !/\/data\/work\/tmp\/remote-[^/]+\/token$/.test(path))).toEqual([]);
  for (const secret of [token, password]) {
    await eventually(() => placesOf(secret, forge.root).length === 0, 60_000, 'it is in no file');
    expect(forge.log()).not.toContain(secret);
  }
});

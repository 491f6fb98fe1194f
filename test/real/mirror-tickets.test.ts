import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { certificate, startGitHttp } from './support/git-servers.ts';
import { type KeptIssue, startIssueHost } from './support/issue-host.ts';

const secret = 'tok-5f1b2c3d4e5f60718293a4b5c6d7e8f901234567';

/** Whom git lets in. */
const logins = { oauth2: { password: secret, may: 'push' as const } };

let forge: TestForge;
let folder: string;
let tls: Awaited<ReturnType<typeof certificate>>;
let git: Awaited<ReturnType<typeof startGitHttp>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'git-'));
  tls = await certificate(folder);
  chmodSync(folder, 0o755);
  forge = await startForge({ env: { SSL_CERT_FILE: join(folder, 'certificate.pem') } });
  git = await startGitHttp(folder, logins);
  for (const kind of ['github', 'gitlab', 'gitea', 'many']) await forge.json('repo', 'create', kind);
  // From here on only what the tests say brings anything anywhere.
  await forge.stop();
});
afterAll(async () => {
  await git[Symbol.asyncDispose]();
  await forge[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program as the server's user. @returns what it said */
function must(...argv: string[]): string {
  const [file = '', ...args] = [...asForgesUser(), ...argv];
  const env = { ...process.env, HOME: forge.root, USER: 'admin' };
  return execFileSync(file, args, { encoding: 'utf8', cwd: forge.root, env }).trim();
}
const fileOf = (name: string): string => join(forge.root, 'data/repos', `${name}.fossil`);
const database = (sql: string): string =>
  must('sqlite3', join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'), sql);

/** @returns the ticket's hash */
function addTicket(repository: string, fields: Record<string, string>): string {
  const said = must(
    ...['fossil', 'ticket', 'add', '-R', fileOf(repository), '--quote'],
    ...Object.entries(fields).flat(),
  );
  return /[0-9a-f]{40}/.exec(said)?.[0] ?? '';
}
const changeTicket = (repository: string, hash: string, fields: Record<string, string>): string =>
  must(
    ...['fossil', 'ticket', 'set', hash, '-R', fileOf(repository), '--quote'],
    ...Object.entries(fields).flat(),
  );

function makeRemote(path: string): void {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  execFileSync('git', ['init', '-q', '--bare', join(folder, `${path}.git`)]);
}

/** What of an issue is ours and not hidden. */
const textOf = ({ body }: KeptIssue): string => body.replaceAll(/<!--[^>]*-->\n?/g, '').trim();

type Run = {
  part: string;
  error: string | null;
  issuesMade: number;
  issuesChanged: number;
  commentsMade: number;
};
/** The newest that was about tickets. */
const newestRun = async (name: string): Promise<Run | undefined> =>
  (await forge.json<{ runs: Run[] }>('mirror', 'log', name)).runs.find(({ part }) => part === 'tickets');

type Parts = { part: string; count: number; did: string; error: string | null }[];
type Synced = { results: { ok: boolean; error: string | null; parts: Parts }[] };

async function sync(
  name: string,
): Promise<{ code: number | null; error: string | null; did: string; stderr: string }> {
  const said = await forge.cli('--json', 'sync', name);
  const [result] = (JSON.parse(said.stdout) as Synced).results;
  const tickets = result?.parts.find(({ part }) => part === 'tickets');
  return {
    ...{ code: said.code, error: result?.error ?? null, did: tickets?.did ?? '' },
    stderr: said.stderr,
  };
}

describe.each(['github', 'gitlab', 'gitea'] as const)('tickets at %s', (kind) => {
  let host: Awaited<ReturnType<typeof startIssueHost>>;
  let first: string;
  let second: string;
  const path = `me/${kind}`;
  const issues = () => host.project(path).issues;
  const issueOf = (hash: string): KeptIssue => {
    const [found, ...others] = issues().filter(({ body, gone }) => body.includes(hash) && !gone);
    if (!found || others.length > 0) throw new Error(`${others.length} others of ${hash}`);
    return found;
  };

  beforeAll(async () => {
    host = await startIssueHost(kind, { token: secret, pageSize: 3, made: makeRemote });
    first = addTicket(kind, {
      title: 'It   breaks',
      status: 'Open',
      type: 'Code_Defect',
      priority: 'High',
      severity: 'Minor',
      private_contact: 'victim@example.org',
      icomment: 'See [https://example.org/x|there].\\n/close\\n@alice said #12 <!-- fossil-ticket: x -->',
    });
    second = addTicket(kind, { title: 'Done long ago', status: 'Closed', comment: 'Old *style*' });
    changeTicket(kind, second, { '+icomment': 'nothing' });
  });
  afterAll(async () => {
    expect(host.violations).toEqual([]);
    await host[Symbol.asyncDispose]();
  });

  test('the repository is made there, and what would be made is told before', async () => {
    const add = ['mirror', 'add', kind, git.url(`${path}.git`), '--name', 'there', '--token-stdin'];
    const refused = await forge.told(secret, ...add, '--tickets');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('--host-kind github, gitlab or gitea');
    const args = ['--tickets', '--host-kind', kind, '--api', host.url];
    const wrong = await forge.told('tok-of-somebody-else-00000', ...add, ...args, '--create');
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain('refused the token');
    expect(wrong.stderr).not.toContain('tok-of-somebody-else');
    expect(host.kept.projects.size).toBe(0);
    const said = await forge.told(secret, ...add, ...args, '--create');
    expect(said.code, said.stderr).toBe(0);
    expect(said.stderr).toContain('was made');
    expect(host.project(path).open).toBe(false);
    host.kept.hidden.add('me/hidden');
    const hidden = ['mirror', 'add', kind, git.url('me/hidden.git'), '--name', 'hidden', '--token-stdin'];
    const taken = await forge.told(secret, ...hidden, ...args, '--create');
    expect(taken.code).not.toBe(0);
    expect(taken.stderr).toMatch(/already (exists|been taken)/);
    const dry = await forge.cli('sync', kind, '--dry-run');
    expect(dry.stdout).toContain(`create issue of ${first.slice(0, 10)}: It breaks`);
    expect(issues()).toEqual([]);
  });

  test('every ticket becomes an issue with its text, labels, comments and state', async () => {
    // Somebody's own, and what only looks like an issue.
    host
      .project(path)
      .issues.push(
        { number: 1, title: 'Theirs', body: 'x', open: true, labels: [], comments: [] },
        { number: 2, title: 'A pull request', body: '', open: true, labels: [], comments: [] },
      );
    const done = await sync(kind);
    expect(done, done.stderr).toMatchObject({
      code: 0,
      did: expect.stringContaining('2 issues made') as string,
    });
    const one = issueOf(first);
    expect(one).toMatchObject({ title: 'It breaks', open: true });
    expect(one.labels.toSorted()).toEqual(['priority:High', 'severity:Minor', 'type:Code_Defect']);
    expect(one.body).toContain('[there](<https://example.org/x>)');
    expect(one.body).not.toContain('victim');
    expect(one.body).not.toMatch(/@alice|^\/close|#12/m);
    expect(one.body.match(/<!-- fossil-ticket/g)).toHaveLength(1);
    const two = issueOf(second);
    expect(two).toMatchObject({ title: 'Done long ago', open: false });
    expect(textOf(two)).toContain('Old &#42;style&#42;');
    expect(two.comments).toHaveLength(1);
    expect(two.comments[0]).toContain('admin wrote in Fossil');
    expect(await newestRun(kind)).toMatchObject({
      ...{ why: 'asked', error: null, refs: [], issuesMade: 2, issuesChanged: 0, commentsMade: 1 },
    });
    expect(await sync(kind)).toMatchObject({ code: 0, did: '' });
    const show = await forge.cli('mirror', 'show', kind);
    expect(show.stdout).toContain('tickets         2 issues; last success');
  });

  test('edited twice it is still one issue, and what people did there stays', async () => {
    const issue = issueOf(first);
    issue.body = `A note of ours.\n\n${issue.body}\n\nAnd below.`;
    issue.labels.push('wanted');
    changeTicket(kind, first, { title: 'It breaks often', severity: 'Severe', '+icomment': 'more' });
    expect(await sync(kind)).toMatchObject({ code: 0, did: '1 issue changed, 1 comment made' });
    expect(issueOf(first)).toMatchObject({ title: 'It breaks often', open: true });
    issue.title = 'Their own title';
    changeTicket(kind, first, { title: 'It never breaks', status: 'Fixed', '+icomment': 'again' });
    expect((await sync(kind)).code).toBe(0);
    const now = issueOf(first);
    expect(now).toMatchObject({ title: 'Their own title', open: false });
    expect(now.labels.toSorted()).toEqual(['priority:High', 'severity:Severe', 'type:Code_Defect', 'wanted']);
    // At Gitea it was their organization's label, which is given again and not made anew.
    expect(host.project(path).labels).not.toContain('wanted');
    expect(now.body.startsWith('A note of ours.')).toBe(true);
    expect(now.body.endsWith('And below.')).toBe(true);
    expect(now.body).toContain('Status: Fixed');
    expect(now.comments).toHaveLength(2);
    // Opened again there: not ours to close before Fossil changes.
    now.open = true;
    changeTicket(kind, first, { '+icomment': 'third' });
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(first)).toMatchObject({ open: true });
    changeTicket(kind, first, { status: 'Open' });
    expect((await sync(kind)).code).toBe(0);
    changeTicket(kind, first, { status: 'Closed' });
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(first)).toMatchObject({ open: false });
    expect(issues()).toHaveLength(4);
  });

  test('a connection that breaks after anything was stored doubles nothing', async () => {
    const hash = addTicket(kind, { title: 'Broken off', status: 'Closed', comment: 'x', type: 'T' });
    changeTicket(kind, hash, { '+icomment': 'one' });
    changeTicket(kind, hash, { '+icomment': 'two' });
    let failures = 0;
    for (let tries = 0; tries < 8; tries++) {
      host.breakAfter(1);
      if ((await sync(kind)).code === 0) break;
      failures++;
      expect((await newestRun(kind))?.error).not.toBeNull();
    }
    host.breakAfter(Infinity);
    expect(await sync(kind)).toMatchObject({ code: 0, error: null });
    expect(await newestRun(kind)).toMatchObject({ error: null });
    // The label at Gitea, the issue, two comments, the last edit.
    expect(failures).toBeGreaterThanOrEqual(4);
    const issue = issueOf(hash);
    expect(issue).toMatchObject({ title: 'Broken off', open: false });
    expect(issue.comments).toHaveLength(2);
    expect(issues()).toHaveLength(5);
  });

  test('killed between what is stored and its answer it makes no second one', async () => {
    const hash = addTicket(kind, { title: 'Killed', status: 'Open', comment: 'x' });
    host.breakAfter(1, true);
    const [said] = await Promise.all([
      forge.killed(5_000, 'sync', kind),
      eventually(() => host.isWhole(), 30_000, 'it is stored').then(() => sleep(100)),
    ]);
    expect(said.code).toBe(null);
    expect(issues()).toHaveLength(6);
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(hash).title).toBe('Killed');
    expect(issues()).toHaveLength(6);
  });

  test('a lost map is found again in the issues; one that was deleted there comes back', async () => {
    database('DELETE FROM mirror_issue');
    changeTicket(kind, second, { title: 'Done today' });
    const before = host.calls.length;
    expect((await sync(kind)).code).toBe(0);
    expect(issues()).toHaveLength(6);
    expect(issueOf(second).title).toBe('Done today');
    const listed = host.calls.slice(before).filter(({ key }) => /^GET .*\/issues$/.test(key));
    expect(listed.length).toBeGreaterThanOrEqual(2);
    const { issues: all } = host.project(path);
    const gone = issueOf(second);
    all.splice(all.indexOf(gone), 1, { ...gone, body: 'another one', title: 'Not ours' });
    changeTicket(kind, second, { title: 'Done again' });
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(second)).toMatchObject({ title: 'Done again', number: 7 });
    expect(all[gone.number - 1]).toMatchObject({ title: 'Not ours', body: 'another one' });
    // Hosts say it in their own ways: 404, and GitHub 410 or 301.
    for (const how of ['deleted', 'moved'] as const) {
      issueOf(second).gone = how;
      changeTicket(kind, second, { title: `Was ${how}` });
      expect(await sync(kind)).toMatchObject({ code: 0, error: null });
      expect(issueOf(second).title).toBe(`Was ${how}`);
    }
    expect(issueOf(second).number).toBe(9);
  });

  test('a marker that somebody copied is not believed', async () => {
    const hash = addTicket(kind, { title: 'Not theirs', status: 'Open' });
    const stolen = issueOf(first).body.replaceAll(first, hash);
    host.project(path).issues.push({
      ...{ number: 10, title: 'Trap', body: stolen, open: true, labels: [], comments: [] },
    });
    expect((await sync(kind)).code).toBe(0);
    const made = issues().filter(({ body }) => body.includes(hash));
    expect(made.map(({ title }) => title)).toEqual(['Trap', 'Not theirs']);
  });

  test('what waits for a moderator is not made', async () => {
    const hash = addTicket(kind, { title: 'Spam', status: 'Open' });
    const its = `SELECT x.rid FROM tagxref x JOIN tag t USING (tagid) WHERE t.tagname = 'tkt-${hash}'`;
    // As moderate.c keeps it.
    must('sqlite3', fileOf(kind), `INSERT INTO private ${its}`);
    expect((await sync(kind)).code).toBe(0);
    expect(issues().some(({ title }) => title === 'Spam')).toBe(false);
    must('sqlite3', fileOf(kind), `DELETE FROM private WHERE rid IN (${its})`);
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(hash).title).toBe('Spam');
  });

  test('what was shunned does not come, though Fossil keeps it until a rebuild', async () => {
    const hash = addTicket(kind, { title: 'Stays', status: 'Open' });
    changeTicket(kind, hash, { '+icomment': 'a good word' });
    changeTicket(kind, hash, { '+icomment': 'a bad word' });
    const all = addTicket(kind, { title: 'Bad as a whole', status: 'Open' });
    const bad = `SELECT b.uuid, 0, '' FROM ticketchng c JOIN ticket t USING (tkt_id) JOIN blob b ON b.rid = c.tkt_rid
      WHERE c.icomment = 'a bad word' OR t.tkt_uuid = '${all}'`;
    must('sqlite3', fileOf(kind), `INSERT INTO shun ${bad}`);
    expect((await sync(kind)).code).toBe(0);
    const issue = issueOf(hash);
    expect(JSON.stringify(issue)).toContain('a good word');
    expect(JSON.stringify(issue)).not.toContain('a bad word');
    expect(issues().some(({ title }) => title === 'Bad as a whole')).toBe(false);
    must('sqlite3', fileOf(kind), 'DELETE FROM shun');
    expect((await sync(kind)).code).toBe(0);
    expect(JSON.stringify(issueOf(hash))).toContain('a bad word');
    expect(issueOf(all).title).toBe('Bad as a whole');
  });

  test('a rate limit is waited for when it is short, and until later when it is long', async () => {
    const hash = addTicket(kind, { title: 'Slowly', status: 'Open' });
    host.limit(2, 1);
    const began = Date.now();
    expect((await sync(kind)).code).toBe(0);
    expect(Date.now() - began).toBeGreaterThan(2_000);
    expect(issueOf(hash).title).toBe('Slowly');
    changeTicket(kind, hash, { title: 'Later' });
    host.limit(1, 1_800);
    const later = await sync(kind);
    expect(later).toMatchObject({
      code: 0,
      did: expect.stringContaining('no more requests before') as string,
    });
    const { mirrors } = await forge.json<{ mirrors: { nextTry: string; tickets: { nextTry: string } }[] }>(
      ...['mirror', 'list', kind],
    );
    const wait = Date.parse(mirrors[0]?.tickets.nextTry ?? '') - Date.now();
    expect(wait).toBeGreaterThan(1_700_000);
    expect(wait).toBeLessThan(1_900_000);
    expect((await forge.cli('status')).stdout).not.toContain('the tickets of');
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(hash).title).toBe('Later');
  });

  test('more comments than a page holds are made once, also when the map was lost', async () => {
    const hash = addTicket(kind, { title: 'Talked about', status: 'Open', icomment: 'word 0' });
    const words = Array.from({ length: 8 }, (_, n) => `word ${n}`);
    for (const word of words.slice(1)) changeTicket(kind, hash, { '+icomment': word });
    expect((await sync(kind)).code).toBe(0);
    const said = () => issueOf(hash).comments.map((text) => /word \d/.exec(text)?.[0]);
    // Where the first one stands is the ticket's text's own.
    const made = said();
    expect(made).toEqual(words.slice(-made.length));
    expect(made.length).toBeGreaterThan(6);
    database('DELETE FROM mirror_issue');
    changeTicket(kind, hash, { title: 'Talked about much', '+icomment': 'word 9' });
    host.calls.length = 0;
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(hash).title).toBe('Talked about much');
    expect(said()).toEqual([...made, 'word 9']);
    const pages = host.calls.filter(({ key }) =>
      /^GET .*\{(issue_number|issue_iid|index)\}\/(comments|notes)$/.test(key),
    );
    // Gitea gives all comments at once.
    expect(pages.length).toBeGreaterThanOrEqual(kind === 'gitea' ? 1 : 3);
  });

  test('in an organization or a group it is made as well, and in no other than was said', async () => {
    const group = kind === 'gitlab' ? 'team/inner' : `team-${kind}`;
    host.kept.groups.add('team').add(group);
    const args = ['--host-kind', kind, '--api', host.url, '--create', '--token-stdin', '--name', 'team'];
    const add = (whole: string) =>
      forge.told(secret, 'mirror', 'add', kind, git.url(`${whole}.git`), ...args);
    const others = await add('strangers/tools');
    expect(others.code).not.toBe(0);
    expect(others.stderr).toMatch(/strangers|not found/i);
    const said = await add(`${group}/tools`);
    expect(said.code, said.stderr).toBe(0);
    expect([...host.kept.projects.keys()]).toEqual([path, `${group}/tools`]);
    expect((await add(`${group}/tools`)).code).toBe(0);
    expect(host.kept.projects.size).toBe(2);
    expect((await forge.cli('sync', kind)).code).toBe(0);
    const head = (of: string): string =>
      execFileSync('git', ['-C', join(folder, `${of}.git`), 'rev-parse', 'refs/heads/main'], {
        encoding: 'utf8',
      });
    expect(head(`${group}/tools`)).toBe(head(path));
    await forge.json('mirror', 'remove', kind, 'team', '--yes');
  });

  test('where the host fails at one ticket the others arrive; where it fails at each it is left', async () => {
    const tickets = issues().flatMap(({ body }) => /fossil-ticket: (\w+)/.exec(body)?.[1] ?? []);
    expect(new Set(tickets).size).toBeGreaterThan(5);
    const say = (words: string) => {
      for (const ticket of new Set(tickets)) changeTicket(kind, ticket, { '+icomment': words });
      return () => issues().filter(({ comments }) => JSON.stringify(comments).includes(words)).length;
    };
    const arrived = say('once more');
    const all = new Set(tickets).size;
    host.failAt(1);
    const failed = await sync(kind);
    expect(failed.code).not.toBe(0);
    expect(failed.error).toMatch(/^tickets: Ticket \w{10}: .* answered 502 to /);
    expect(arrived()).toBe(all - 1);
    expect((await sync(kind)).code).toBe(0);
    expect(arrived()).toBe(all);
    const later = say('and again');
    const before = host.calls.length;
    host.failAt(Infinity);
    expect((await sync(kind)).error).toContain('answered 502');
    expect(host.calls.slice(before).filter(({ status }) => status === 502)).toHaveLength(4);
    host.failAt(0);
    expect((await sync(kind)).code).toBe(0);
    expect(later()).toBe(all);
  });

  test('a token that is refused is told, and not tried again before it is mended', async () => {
    const next = `${secret}0`;
    host.setToken(next);
    const hash = addTicket(kind, { title: 'Refused', status: 'Open' });
    const failed = await sync(kind);
    expect(failed.code).toBe(1);
    expect(failed.error).toContain('refused the token');
    expect((await forge.cli('status')).stdout).toContain(`the tickets of ${kind} to there`);
    // Its code is there; the mirror is not what was asked for all the same.
    const list = await forge.cli('mirror', 'list', kind);
    expect(list.stdout).toMatch(new RegExp(`^${kind} +there +failing .* 0 +when mended `, 'm'));
    expect(list.stdout).toMatch(new RegExp(`^${kind} to there, tickets: .* refused the token`, 'm'));
    const calls = host.calls.length;
    await forge.cli('sync', '--due');
    expect(host.calls).toHaveLength(calls);
    const bad = await forge.told(
      'tok-wrong-again',
      ...['mirror', 'configure', kind, '--api-token-stdin', '--tickets'],
    );
    expect(bad.code).not.toBe(0);
    const good = await forge.told(next, ...['mirror', 'configure', kind, '--api-token-stdin', '--tickets']);
    expect(good.code, good.stderr).toBe(0);
    expect((await sync(kind)).code).toBe(0);
    expect(issueOf(hash).title).toBe('Refused');
    expect((await forge.cli('status')).stdout).not.toContain('the tickets of');
  });

  test('when a token ends is told fourteen days before', async () => {
    const day = 24 * 3_600_000;
    host.kept.expires = new Date(Date.now() + 10 * day);
    expect((await forge.cli('mirror', 'configure', kind, '--tickets')).code).toBe(0);
    const { stdout } = await forge.cli('status');
    const soon = stdout.includes(`The token of the mirror there of ${kind} ends on`);
    // Gitea's have no end.
    expect(soon).toBe(kind !== 'gitea');
    host.kept.expiresAs = 'instant';
    expect((await forge.cli('mirror', 'configure', kind, '--tickets')).code).toBe(0);
    expect((await forge.cli('status')).stdout.includes('The token of the mirror there of')).toBe(soon);
    host.kept.expires = new Date(Date.now() + 20 * day);
    expect((await forge.cli('mirror', 'configure', kind, '--tickets')).code).toBe(0);
    expect((await forge.cli('status')).stdout).not.toContain('The token of the mirror');
  });

  test('tickets are no longer brought there when that is said', async () => {
    expect((await forge.cli('mirror', 'configure', kind, '--no-tickets')).code).toBe(0);
    addTicket(kind, { title: 'Stays here', status: 'Open' });
    const calls = host.calls.length;
    expect((await sync(kind)).code).toBe(0);
    expect(host.calls.slice(calls).filter(({ key }) => key.includes('issues'))).toEqual([]);
  });
});

test('over a hundred tickets, small pages, a lost map: one issue each', async () => {
  await using host = await startIssueHost('gitlab', { token: secret, pageSize: 7, tls });
  makeRemote('me/many');
  host.project('me/many');
  const file = fileOf('many');
  const hashes = Array.from({ length: 120 }, (_, n) => addTicket('many', { title: `T${n}`, status: 'Open' }));
  expect(file).toContain('many');
  const args = ['--tickets', '--host-kind', 'gitlab', '--api', host.url, '--token-stdin', '--name', 'there'];
  const add = ['mirror', 'add', 'many', git.url('me/many.git'), ...args];
  // Of a host that nobody vouches for.
  const other = mkdtempSync(join(tmpdir(), 'other-'));
  await using liar = await startIssueHost('gitlab', { token: secret, tls: await certificate(other) });
  const refused = await forge.told(secret, ...add.map((arg) => (arg === host.url ? liar.url : arg)));
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('certificate');
  expect(liar.calls).toEqual([]);
  rmSync(other, { recursive: true });
  const said = await forge.told(secret, ...add);
  expect(said.code, said.stderr).toBe(0);
  host.breakAfter(100);
  expect((await sync('many')).code).not.toBe(0);
  expect(host.project('me/many').issues).toHaveLength(100);
  database('DELETE FROM mirror_issue');
  host.breakAfter(Infinity);
  host.calls.length = 0;
  const done = await sync('many');
  expect(done, done.stderr).toMatchObject({ code: 0, did: '20 issues made' });
  const made = host.project('me/many').issues;
  expect(made).toHaveLength(120);
  for (const hash of hashes) expect(made.filter(({ body }) => body.includes(hash))).toHaveLength(1);
  expect(host.calls.filter(({ key }) => key.startsWith('GET') && key.endsWith('/issues'))).toHaveLength(15);

  // Code that waits for another token holds up no ticket, but where that token is theirs, too.
  logins.oauth2.password = 'another one';
  expect((await sync('many')).error).toContain('refused the credential');
  const due = async () => {
    const asked = [git.asked.length, host.calls.length];
    const { code, stdout, stderr } = await forge.cli('sync', '--due');
    const [code0 = 0, calls0 = 0] = asked;
    return { code, said: stdout + stderr, git: git.asked.length - code0, api: host.calls.length - calls0 };
  };
  addTicket('many', { title: 'Meanwhile', status: 'Open' });
  expect(await due()).toMatchObject({ code: 0, git: 0, api: 0 });
  await forge.told(secret, 'mirror', 'configure', 'many', '--api-token-stdin', '--tickets');
  const again = await due();
  expect(again.said).toContain('refused the credential');
  expect(again.git).toBeGreaterThan(0);
  expect(made).toHaveLength(121);
  addTicket('many', { title: 'Later', status: 'Open' });
  expect(await due()).toMatchObject({
    ...{ code: 0, git: 0, said: expect.stringContaining('many to there: tickets: 1 issue made') as string },
  });
  expect(made).toHaveLength(122);
  expect(await due()).toMatchObject({ code: 0, git: 0, api: 0, said: '' });
  logins.oauth2.password = secret;
  expect(host.violations).toEqual([]);
});

test('the token is in no file, and in nothing that was said', () => {
  const found = must('sh', '-c', `grep -rlF '${secret}' '${forge.root}' || true`);
  expect(found).toBe('');
  expect(forge.log()).not.toContain(secret);
  expect(readFileSync(join(forge.root, 'etc/fossilrepo/fossilrepo.yaml'), 'utf8')).not.toContain(secret);
});

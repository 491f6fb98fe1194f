import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Person, newPerson, type Shown } from './client.ts';
import { eventually, nobody, startForge, type TestForge } from './forge.ts';
import { startGitHttp, startSshd } from './support/git-servers.ts';
import { placesOf, watchPlacesOf } from './support/places-of.ts';
import { keys } from './terminal.ts';

const token = `glpat-${randomUUID()}`;
const other = `glpat-${randomUUID()}`;

const typed = `glpat-${randomUUID()}`;

const logins = {
  eve: { password: typed, may: 'push' as const },
  ann: { password: token, may: 'push' as const },
  oauth2: { password: other, may: 'push' as const },
};

let forge: TestForge;
let someone: Person;
let http: Awaited<ReturnType<typeof startGitHttp>>;
let sshd: Awaited<ReturnType<typeof startSshd>>;
let remotes: string;

type Described = {
  mirror: { publicKey: string | null; ok: boolean | null; error: string | null; nextTry: string | null };
};

beforeAll(async () => {
  const env = { FOSSILREPO_CACHE: join(tmpdir(), `fossilrepo-cache-${nobody}`) };
  forge = await startForge({ as: nobody, env });
  someone = newPerson();
  remotes = join(someone.home, 'remotes');
  mkdirSync(remotes);
  http = await startGitHttp(remotes, logins);
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await http[Symbol.asyncDispose]();
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

function remote(name: string): string {
  const folder = join(remotes, name);
  execFileSync('git', ['init', '-q', '--bare', folder]);
  execFileSync('git', ['-C', folder, 'config', 'http.receivepack', 'true']);
  return folder;
}
const head = (folder: string): string => {
  try {
    return execFileSync('git', ['-C', folder, 'rev-parse', 'refs/heads/main'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch {
    return '';
  }
};
const shown = (name: string) => forge.json<Described>('mirror', 'show', name);

test('a token comes by standard input, and is nowhere but in the push', async () => {
  await forge.json<Shown>('repo', 'create', 'demo');
  const folder = remote('demo.git');
  const address = http.url('demo.git');
  const refused = await forge.told(
    `${token}x\n`,
    'mirror',
    'add',
    'demo',
    address,
    '--user',
    'ann',
    '--token-stdin',
  );
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('refused the credential');
  expect(await forge.json('mirror', 'list')).toEqual({ mirrors: [] });

  const seen = watchPlacesOf(token, forge.root);
  const said = await forge.told(
    `${token}\n`,
    'mirror',
    'add',
    'demo',
    address,
    '--name',
    'web',
    '--user',
    'ann',
    '--token-stdin',
  );
  expect(said.code, said.stderr).toBe(0);
  expect(said.stderr).toContain('http:// shows the token to everybody on the way');
  await eventually(() => head(folder) !== '', 60_000, 'the push arrives');
  await forge.cli('sync', 'demo');
  await forge.cli('mirror', 'verify', 'demo');
  const show = await forge.cli('--json', 'mirror', 'show', 'demo');
  // The file that git's askpass reads, for as long as a push takes.
  expect((await seen()).filter((path) => !/\/data\/work\/tmp\/remote-[^/]+\/token$/.test(path))).toEqual([]);
  expect(placesOf(token, forge.root)).toEqual([]);
  expect(show.stdout + said.stdout + said.stderr + forge.log()).not.toContain(token);
  expect(http.asked.some(({ authorization }) => authorization?.includes(btoa(`ann:${token}`)))).toBe(true);
});

test('a token that stands in the address is taken out of it, and shown nowhere', async () => {
  await forge.json<Shown>('repo', 'create', 'careless');
  const folder = remote('careless.git');
  const address = http.url('careless.git');
  const said = await forge.cli(
    'mirror',
    'add',
    'careless',
    address.replace('://', `://oauth2:${other}@`),
    '--name',
    'web',
  );
  expect(said.code, said.stderr).toBe(0);
  expect(said.stderr).toContain('The address held a token');
  await eventually(() => head(folder) !== '', 60_000, 'the push arrives');
  expect(said.stdout + said.stderr + forge.log()).not.toContain(other);
  expect((await forge.cli('mirror', 'list')).stdout).toContain(` ${address}\n`);
  // Until git has ended it has the token in a file.
  await eventually(() => placesOf(other, forge.root).length === 0, 10_000, 'the token is nowhere');
});

test('a token typed at the terminal is not on the screen, is used, and works from then on', async () => {
  await forge.json<Shown>('repo', 'create', 'typed');
  const folder = remote('typed');
  const address = http.url('typed');
  const question = 'Token for 127.0.0.1 (empty: none)';
  /** @returns how a command ends that asks for the token */
  const asked = async (command: string[], answer: string) => {
    await using terminal = forge.person(...command, '--user', 'eve');
    await terminal.answers(question, `${answer}x y`, keys.enter);
    await terminal.answers('A token is one word.', keys.eraseLine, answer, keys.enter);
    const ended = await terminal.ended();
    expect(ended.screen).not.toContain(typed.slice(-20));
    return ended;
  };
  const adding = ['mirror', 'add', 'typed', address, '--name', 'web'];
  const creating = ['repo', 'create', 'taken', '--from', address];
  for (const command of [adding, creating]) {
    const none = await asked(command, '');
    expect(none.code, none.screen).toBe(1);
    expect(none.screen).toContain('wants a credential, and was given none');
    expect(none.screen).toContain('Give a token at the terminal or with --token-stdin');
  }
  expect(await forge.json('mirror', 'list', 'typed')).toEqual({ mirrors: [] });
  expect((await forge.cli('repo', 'list')).stdout).not.toContain('taken');

  const added = await asked(adding, typed);
  expect(added.code, added.screen).toBe(0);
  await forge.json('sync', 'typed');
  expect(head(folder)).not.toBe('');
  const taken = await asked(creating, typed);
  expect(taken.code, taken.screen).toBe(0);
  expect(await forge.json('upstream', 'pull', 'taken')).toMatchObject({ ok: true });
  const set = await asked(['upstream', 'set', 'taken', address], typed);
  expect(set.code, set.screen).toBe(0);
  expect(await forge.json('upstream', 'pull', 'taken')).toMatchObject({ ok: true });
  expect(placesOf(typed, forge.root)).toEqual([]);
  expect(forge.log()).not.toContain(typed);
});

test('a revoked token is not tried again by itself; another one is, at once', async () => {
  const bad = await forge.told('wrong\n', 'mirror', 'configure', 'demo', '--token-stdin');
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain('refused the credential');
  expect((await forge.cli('sync', 'demo')).code).toBe(0);
  logins.ann.password = `${token}-2`;
  expect((await forge.cli('mirror', 'configure', 'demo', '--schedule', '1h')).code).toBe(0);
  await eventually(async () => (await shown('demo')).mirror.ok === false, 60_000, 'it fails');
  const { mirror } = await shown('demo');
  expect(mirror).toMatchObject({ nextTry: null });
  expect(mirror.error).toContain('refused the credential');
  const asked = http.asked.length;
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  expect(http.asked.length).toBe(asked);
  const status = await forge.cli('status');
  expect(status.stdout).toContain('It is not tried again by itself.');
  expect((await forge.told(`${token}-2\n`, 'mirror', 'configure', 'demo', '--token-stdin')).code).toBe(0);
  await eventually(async () => (await shown('demo')).mirror.ok === true, 60_000, 'it is well again');
});

test('a deploy key is made, waits until it is installed, and works; another host key is not believed', async () => {
  await forge.json<Shown>('repo', 'create', 'keys');
  const folder = remote('keys.git');
  const address = sshd.url(folder);
  // Somebody has to look at the fingerprints.
  const unseen = await forge.cli('mirror', 'add', 'keys', address);
  expect(unseen.code).toBe(2);
  expect(unseen.stderr).toMatch(/ssh-ed25519 SHA256:\S+/);
  const dry = await forge.cli('mirror', 'add', 'keys', address, '--dry-run');
  expect(dry.code, dry.stderr).toBe(0);
  expect(await forge.json('mirror', 'list', 'keys')).toEqual({ mirrors: [] });
  const said = await forge.cli('mirror', 'add', 'keys', address, '--name', 'ssh', '--yes');
  expect(said.code, said.stderr).toBe(0);
  expect(said.stdout).toMatch(/^ssh-ed25519 \S+ fossilrepo keys\n$/);
  expect(await shown('keys')).toMatchObject({ mirror: { ok: false, nextTry: null } });
  const early = await forge.cli('mirror', 'add', 'keys', address, '--name', 'ssh');
  expect(early.code).toBe(1);
  expect(early.stderr).toContain('refused the credential');
  expect(early.stderr).toContain('Install the deploy key there');
  sshd.authorize(said.stdout.trim());
  const now = await forge.cli('mirror', 'add', 'keys', address, '--name', 'ssh');
  expect(now.code, now.stderr).toBe(0);
  expect(now.stderr).toContain('1 branch, 1 commit');
  await eventually(() => head(folder) !== '', 60_000, 'the push arrives');
  await eventually(async () => (await shown('keys')).mirror.ok === true, 10_000, 'it is known');

  await sshd.changeHostKey();
  const changed = await forge.cli('--json', 'sync', 'keys');
  expect(changed.code).toBe(1);
  expect(changed.stdout).toContain('host key');
  expect(await shown('keys')).toMatchObject({ mirror: { ok: false, nextTry: null } });
  expect((await forge.cli('mirror', 'configure', 'keys', '--host-keys', '--yes')).code).toBe(0);
  await eventually(async () => (await shown('keys')).mirror.ok === true, 60_000, 'the new one is pinned');

  const { publicKey } = (await shown('keys')).mirror;
  const another = await forge.cli('mirror', 'configure', 'keys', '--deploy-key');
  expect(another.code, another.stderr).toBe(0);
  expect(another.stdout.trim()).not.toBe(publicKey);
  sshd.authorize(another.stdout.trim());
  // The server itself may be at work on it.
  await eventually(async () => (await forge.cli('sync', 'keys')).code === 0, 60_000, 'the other key works');
  expect((await forge.cli('mirror', 'remove', 'keys', 'ssh', '--yes')).stderr).toContain(
    'Delete its deploy key',
  );
});

test('commits of others that stand in the way of a deploy key’s mirror are what status tells, no longer the key', async () => {
  await forge.json<Shown>('repo', 'create', 'foreign');
  const folder = remote('taken.git');
  const work = join(remotes, 'foreign');
  const who = ['-c', 'user.name=Eve', '-c', 'user.email=eve@example.org'];
  execFileSync('git', ['init', '-q', '-b', 'main', work]);
  execFileSync('git', [...who, '-C', work, 'commit', '-q', '--allow-empty', '-m', 'not from here']);
  execFileSync('git', ['-C', work, 'push', '-q', folder, 'main']);
  const foreign = head(folder);
  const add = ['mirror', 'add', 'foreign', sshd.url(folder), '--name', 'ssh', '--yes'];
  const first = await forge.cli(...add);
  expect(first.code, first.stderr).toBe(0);
  expect((await shown('foreign')).mirror.error).toContain('waits for its deploy key');
  sshd.authorize(first.stdout.trim());
  const second = await forge.cli(...add);
  expect(second.code, second.stderr).toBe(4);
  const { mirror } = await shown('foreign');
  // Nothing goes there before somebody has decided.
  expect(mirror).toMatchObject({ ok: false, nextTry: null });
  expect(mirror.error).toMatch(/holds commits that are not from here/);
  expect((await forge.cli('status')).stdout).toMatch(
    /Not mirrored: foreign to ssh: \S+ holds commits that are/,
  );
  expect(head(folder)).toBe(foreign);
  const decided = await forge.cli(...add, '--on-divergence', 'overwrite');
  expect(decided.code, decided.stderr).toBe(0);
  await eventually(() => head(folder) !== foreign, 60_000, 'it is overwritten');
  await eventually(async () => (await shown('foreign')).mirror.ok === true, 10_000, 'it is known');
});

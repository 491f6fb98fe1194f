import { execFileSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPerson, type Person, type Shown } from './client.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { makeRemote } from './support/git-remote.ts';

type Synced = {
  pulled: { repository: string; ok: boolean; came: { checkins: number } }[];
  results: { repository: string; mirror: string; ok: boolean; commits: number }[];
};
type Status = { level: string; findings: { about: string; what: string; next: string }[] };

let forge: TestForge;
let someone: Person;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  execFileSync('env', [...asForgesUser(), 'mkdir', '-p', join(forge.root, 'remotes')]);
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

const remote = (name: string) => makeRemote(join(forge.root, 'remotes', `${name}.git`));
const status = async (): Promise<Status> =>
  JSON.parse((await forge.cli('--json', 'status')).stdout) as Status;
const checkins = async (name: string) => (await forge.json<Shown>('repo', 'show', name)).checkins;

test('sync takes what is new there, and what came goes on to the mirrors', async () => {
  const from = remote('from');
  const to = remote('to');
  from.commit('main', 'one', { a: '1\n' });
  await forge.json('repo', 'create', 'between', '--from', from.folder);
  await forge.json('mirror', 'add', 'between', to.folder, '--yes');
  await forge.json('sync', 'between');
  from.commit('main', 'two', { a: '2\n' });
  const dry = await forge.json<{ upstreams: object[] }>('sync', 'between', '--dry-run');
  expect(dry.upstreams).toEqual([{ repository: 'between', url: from.folder }]);
  const { pulled, results } = await forge.json<Synced>('sync', 'between');
  expect(pulled).toMatchObject([{ repository: 'between', ok: true, came: { checkins: 1 } }]);
  expect(results).toMatchObject([{ repository: 'between', ok: true, commits: 1 }]);
  const tree = (one: typeof to) => one.git('rev-parse', 'refs/heads/main^{tree}');
  expect(tree(to)).toBe(tree(from));
});

test('one that has neither mirror nor upstream is refused with what to do', async () => {
  await forge.json('repo', 'create', 'alone');
  const said = await forge.cli('sync', 'alone');
  expect(said.code).toBe(2);
  expect(said.stderr).toContain('fossilrepo upstream set alone URL');
});

test('an upstream is looked at by itself by its schedule; one that is down turns status yellow, and green when it is back', async () => {
  const from = remote('followed');
  from.commit('main', 'one', { a: '1\n' });
  await forge.json('repo', 'create', 'follower', '--from', from.folder);
  await forge.json('upstream', 'set', 'follower', from.folder, '--schedule', '1m', '--yes');
  from.commit('main', 'two', { a: '2\n' });
  await eventually(async () => (await checkins('follower')) === 2, 100_000, 'the new commit came by itself');
  const aside = `${from.folder}.aside`;
  renameSync(from.folder, aside);
  expect((await forge.cli('sync', 'follower')).code).toBe(1);
  const down = await status();
  expect(down.level).toBe('yellow');
  expect(down.findings).toMatchObject([{ about: 'follower' }]);
  expect(down.findings[0]?.what).toContain(`follower does not follow ${from.folder}`);
  renameSync(aside, from.folder);
  expect((await forge.cli('sync', 'follower')).code).toBe(0);
  expect((await status()).level).toBe('green');
});

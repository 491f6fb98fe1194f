import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPerson, type Shown } from './client.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { commitFile, initRepository, query, serve } from './support/fossil-lab.ts';
import { differences } from './support/git-compare.ts';
import { makeRemote, type Remote } from './support/git-remote.ts';

let forge: TestForge;
let bin: string;

/** Stand in front of the real programs, and do harm when a file says so. */
const wrappers = {
  // Ends the stream where it likes, with the exit code that it likes, or does not begin it before it may.
  git: `case " $* " in *" fast-export "*)
  if [ -e "$0.hold" ]; then touch "$0.held"; while [ -e "$0.hold" ]; do sleep 0.1; done; fi
  if [ -e "$0.cut" ]; then . "$0.cut"; /usr/bin/git "$@" | head -c "$bytes"; exit "$code"; fi;;
esac
exec /usr/bin/git "$@"`,
  // Does its work and then ends only when it may, or never, so that something can be done or it be killed between two steps.
  fossil: `if [ "$1" = pull ] && [ -e "$0.hold" ]; then
  /usr/bin/fossil "$@"; code=$?; touch "$0.held"
  while [ -e "$0.hold" ]; do sleep 0.1; done
  exit $code
fi
if [ "$1" = pull ] && [ -e "$0.stay" ]; then
  /usr/bin/fossil "$@"; mv "$0.stay" "$0.stayed"; exec sleep 60
fi
exec /usr/bin/fossil "$@"`,
};

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'wrappers-'));
  chmodSync(bin, 0o777);
  for (const [name, script] of Object.entries(wrappers)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  forge = await startForge({
    config: { programs: { fossil: join(bin, 'fossil') } },
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
  });
});
afterAll(async () => {
  await forge[Symbol.asyncDispose]();
  rmSync(bin, { recursive: true });
});

const remote = (name: string): Remote => {
  execFileSync('env', [...asForgesUser(), 'mkdir', '-p', join(forge.root, 'remotes')]);
  return makeRemote(join(forge.root, 'remotes', `${name}.git`));
};
const database = () => join(forge.root, 'var/lib/fossilrepo/fossilrepo.db');
const marksOf = ({ id }: Pick<Shown, 'id'>): Map<string, string> =>
  new Map(
    query(database(), `SELECT git, fossil FROM import_mark WHERE repository = '${id}'`).map((row) => [
      String(row['git']),
      String(row['fossil']),
    ]),
  );
const compare = (one: Remote, shown: Shown) => differences(one, shown.path, marksOf(shown));

test('a stream that is cut changes nothing, whatever git answers', async () => {
  const one = remote('cut');
  for (let index = 0; index < 40; index++)
    one.commit('main', `commit ${index}`, { [`f${index}`]: `${index}\n` });
  const cut = (bytes: number, code: number) =>
    writeFileSync(join(bin, 'git.cut'), `bytes=${bytes}\ncode=${code}\n`);
  cut(3_000, 0);
  const refused = await forge.cli('repo', 'create', 'cut', '--from', one.folder);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('did not come whole');
  expect((await forge.cli('repo', 'show', 'cut')).code).toBe(1);
  rmSync(join(bin, 'git.cut'));
  const shown = await forge.json<Shown>('repo', 'create', 'cut', '--from', one.folder);
  const rows = () => [
    query(shown.path, 'SELECT uuid FROM blob ORDER BY uuid'),
    marksOf(shown),
    query(database(), `SELECT * FROM import_ref WHERE repository = '${shown.id}'`),
  ];
  const before = rows();
  for (let index = 0; index < 20; index++)
    one.commit('main', `more ${index}`, { [`m${index}`]: `${index}\n` });
  for (const [bytes, code] of [
    ...[
      [0, 0],
      [10, 0],
      [900, 0],
      [2_500, 0],
      [2_500, 128],
    ],
    // Whole records, and then the end.
    [one.git('fast-export', '--show-original-ids', 'main~3..main').indexOf('\nblob\n', 10) + 1, 0],
    [10_000_000, 1],
  ] as [number, number][]) {
    cut(bytes, code);
    const said = await forge.cli('upstream', 'pull', 'cut');
    expect(`${bytes} ${code}: ${said.code}`).toBe(`${bytes} ${code}: 1`);
    expect(said.stderr).toContain('did not come whole');
    expect(rows()).toEqual(before);
  }
  rmSync(join(bin, 'git.cut'));
  expect(await forge.json('upstream', 'pull', 'cut')).toMatchObject({ came: { checkins: 20 } });
  expect(compare(one, shown)).toEqual([]);
});

test('killed when all was delivered and nothing written down, and gone on there meanwhile: every commit is there once', async () => {
  const one = remote('between');
  one.commit('main', 'one', { a: '1\n' });
  const shown = await forge.json<Shown>('repo', 'create', 'between', '--from', one.folder);
  one.commit('side', 'two', { a: '2\n' }, [one.tip('main')]);
  one.commit('side', 'three', { a: '3\n' });
  writeFileSync(join(bin, 'fossil.stay'), '');
  const killed = forge.killed(20_000, 'upstream', 'pull', 'between');
  await eventually(() => existsSync(join(bin, 'fossil.stayed')), 20_000, 'fossil has pulled');
  expect(query(shown.path, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 3 }]);
  expect(marksOf(shown).size).toBe(1);
  // The same commits would now be the main branch's, with another hash in Fossil.
  one.git('update-ref', 'refs/heads/main', one.tip('side'));
  one.git('update-ref', '-d', 'refs/heads/side');
  one.commit('main', 'four', { a: '4\n' });
  for (const pid of pidsOf('upstream', 'pull', 'between')) process.kill(pid, 'SIGKILL');
  await killed;
  expect(await forge.json('upstream', 'pull', 'between')).toMatchObject({ came: { checkins: 3 } });
  expect(compare(one, shown)).toEqual([]);
});

test('another main branch that was accepted stays so when it is killed after the delivery', async () => {
  const one = remote('renamed');
  one.commit('main', 'one', { a: '1\n' });
  const shown = await forge.json<Shown>('repo', 'create', 'renamed', '--from', one.folder);
  one.git('branch', '-m', 'main', 'release');
  one.commit('release', 'two', { a: '2\n' });
  rmSync(join(bin, 'fossil.stayed'), { force: true });
  writeFileSync(join(bin, 'fossil.stay'), '');
  const killed = forge.killed(20_000, 'upstream', 'accept', 'renamed', '--yes');
  await eventually(() => existsSync(join(bin, 'fossil.stayed')), 20_000, 'fossil has pulled');
  one.commit('release', 'three', { a: '3\n' });
  for (const pid of pidsOf('upstream', 'accept', 'renamed')) process.kill(pid, 'SIGKILL');
  await killed;
  expect(await forge.json('upstream', 'pull', 'renamed')).toMatchObject({ came: { checkins: 2 } });
  expect(compare(one, shown)).toEqual([]);
  const branches =
    "SELECT DISTINCT value FROM tagxref JOIN tag USING (tagid) WHERE tagname = 'branch' AND tagtype > 0";
  expect(query(shown.path, branches)).toEqual([{ value: 'trunk' }]);
});

test.each(['git', 'fossil'] as const)(
  'a %s upstream brings nothing into a repository that is restored while it is at work',
  async (kind) => {
    const name = `meanwhile-${kind}`;
    await using there = await (kind === 'git' ? gitUpstream(name) : fossilUpstream(name));
    const shown = await forge.json<Shown>('repo', 'create', name, '--from', there.address, '--follow');
    const { token } = await forge.json<{ token: string }>('user', 'token', 'admin');
    using someone = newPerson();
    const folder = await someone.checkout(shown.cloneUrl, `admin:${token}`);
    await sleep(1_500);
    const at = new Date().toISOString();
    await sleep(1_500);
    await someone.commit(folder, 'mistake.txt', 'never meant\n');
    expect(await someone.push(folder)).toBe(true);
    // One that is gone after the restore, and one on top of it.
    await there.commit('two');
    if (kind === 'git') await forge.json('upstream', 'pull', name);
    await there.commit('three');
    const texts = () =>
      query(shown.path, "SELECT comment FROM event WHERE type = 'ci'")
        .map((row) => String(row['comment']))
        .filter((text) => /mistake|two|three/.test(text));
    const [hold, held] = [join(bin, `${kind}.hold`), join(bin, `${kind}.held`)];
    writeFileSync(hold, '');
    const pulling = forge.cli('upstream', 'pull', name);
    await eventually(() => existsSync(held), 60_000, 'it is at work');
    const restoring = forge.cli('restore', name, '--at', at, '--yes');
    // It waits for whoever has the file open, which the writing of Git's history is.
    const begun = `SELECT 1 FROM restore WHERE repository = '${shown.id}'${kind === 'fossil' ? " AND outcome = 'done'" : ''}`;
    await eventually(() => query(database(), begun).length > 0, 60_000, 'it is being restored');
    rmSync(hold);
    const restored = await restoring;
    expect(restored.code, restored.stderr).toBe(0);
    const said = await pulling;
    expect(said.code, said.stderr).toBe(5);
    expect(said.stderr).toContain('was restored meanwhile');
    expect(texts()).toEqual([]);
    // Then it is as after any restore: Git's check-ins are not made anew, Fossil's come again.
    const next = await forge.cli('upstream', 'pull', name);
    expect(next.code, next.stderr).toBe(kind === 'git' ? 1 : 0);
    expect(next.stderr).toContain(kind === 'git' ? 'are no longer in it' : '');
    expect(texts().filter((text) => text.includes('mistake'))).toEqual([]);
    expect(texts()).toHaveLength(kind === 'git' ? 0 : 2);
  },
  120_000,
);

function gitUpstream(name: string) {
  const one = remote(name);
  one.commit('main', 'one', { one: '1\n' });
  return {
    address: one.folder,
    commit: (what: string) => Promise.resolve(one.commit('main', what, { [what]: '1\n' })),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function fossilUpstream(name: string) {
  const lab = mkdtempSync(join(tmpdir(), 'upstream-faults-'));
  const [repos, home] = [join(lab, 'repos'), join(lab, 'home')];
  mkdirSync(repos);
  await initRepository(join(repos, `${name}.fossil`), home);
  const server = await serve(repos, home);
  return {
    address: `http://localhost:${server.port}/${name}`,
    commit: (what: string) => commitFile(join(repos, `${name}.fossil`), home, what, '1\n'),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      rmSync(lab, { recursive: true });
    },
  };
}

/** Processes of this test's server with these words. */
function pidsOf(...words: string[]): number[] {
  const said = execFileSync('ps', ['-eo', 'pid=,args=']).toString();
  return said
    .split('\n')
    .filter((line) => line.includes(forge.root) && line.includes(words.join(' ')))
    .map((line) => Number.parseInt(line, 10));
}

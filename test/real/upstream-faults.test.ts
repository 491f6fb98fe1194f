import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Shown } from './client.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { query } from './support/fossil-lab.ts';
import { differences } from './support/git-compare.ts';
import { makeRemote, type Remote } from './support/git-remote.ts';

let forge: TestForge;
let bin: string;

/** Stand in front of the real programs, and do harm when a file says so. */
const wrappers = {
  // Ends the stream where it likes, with the exit code that it likes.
  git: `case " $* " in *" fast-export "*)
  if [ -e "$0.cut" ]; then . "$0.cut"; /usr/bin/git "$@" | head -c "$bytes"; exit "$code"; fi;;
esac
exec /usr/bin/git "$@"`,
  // Does its work and then never ends, so that it can be killed between two steps.
  fossil: `if [ "$1" = pull ] && [ -e "$0.stay" ]; then
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

/** Processes of this test's server with these words. */
function pidsOf(...words: string[]): number[] {
  const said = execFileSync('ps', ['-eo', 'pid=,args=']).toString();
  return said
    .split('\n')
    .filter((line) => line.includes(forge.root) && line.includes(words.join(' ')))
    .map((line) => Number.parseInt(line, 10));
}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MirrorCache, refreshCache } from '../../src/mirror/export/cache.ts';
import { compareWithGit } from '../../src/mirror/compare/compare.ts';
import { openHashes } from '../../src/mirror/export/hashes.ts';
import { cacheFolder } from '../../src/mirror/export/place.ts';
import { stampOf } from '../../src/mirror/export/seen.ts';
import { gitHistory } from './support/git-history.ts';
import { type MirrorLab, mirrorLab } from './support/mirror-lab.ts';
import { processesOf } from './processes.ts';

let lab: MirrorLab;
beforeAll(() => {
  lab = mirrorLab();
});
afterAll(() => lab[Symbol.dispose]());

type Imported = Awaited<ReturnType<MirrorLab['imported']>>;

const refresh = ({ row }: Pick<Imported, 'row'>) => refreshCache(lab.forge, row);
const drop = ({ row }: Pick<Imported, 'row'>) =>
  rmSync(cacheFolder(lab.forge.paths, row.id), { recursive: true, force: true });

async function isExact({ file }: Pick<Imported, 'file'>, cache: MirrorCache): Promise<void> {
  const { differences } = await compareWithGit(file, cache.folder);
  expect(differences).toEqual([]);
  await lab.must(['git', '-C', cache.folder, 'fsck', '--full', '--strict', '--connectivity-only']);
}

const refsIn = ({ folder }: MirrorCache) => lab.must(['git', '-C', folder, 'for-each-ref']);

/** A Fossil that does something else when it is to export: a shell's words, in which `$@` is what it was told. */
function otherFossil(name: string, exporting: string): string {
  const file = join(lab.root, name);
  writeFileSync(file, `#!/bin/sh\nif [ "$1" != export ]; then exec fossil "$@"; fi\n${exporting}\n`);
  chmodSync(file, 0o755);
  return file;
}

const withFossil = (fossil: string) => ({
  ...lab.forge,
  config: { ...lab.forge.config, programs: { ...lab.forge.config.programs, fossil } },
});

/** The same in a process of its own. */
function elsewhere({ row }: Imported, fossil?: string): ChildProcess {
  const script = join(import.meta.dirname, 'support/mirror-refresh.ts');
  return spawn(process.execPath, [script, lab.root, row.id, ...(fossil === undefined ? [] : [fossil])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('a stream that is cut short, or not what it has to be, changes nothing', async () => {
  const repository = await lab.imported(gitHistory(60));
  const broken: [string, string, RegExp][] = [
    ['cut', 'fossil "$@" | head -c 20000', /cut short/],
    ['empty', 'exit 0', /0 of \d+ files/],
    ['killed', 'fossil "$@" | head -c 20000; kill -9 $$', /cut short|was killed/],
    ['failing', 'fossil "$@"; echo no more >&2; exit 3', /answered 3[^]*no more/],
    ['changed', 'fossil "$@" | sed s/line/LINE/', /no check-in names/],
    ['talking', 'echo Hello; fossil "$@"', /cut short|it says "Hello/],
    ['missing', 'exec /nowhere/fossil', /answered 12[67]|0 of/],
  ];
  for (const [name, script, expected] of broken)
    await expect(refreshCache(withFossil(otherFossil(name, script)), repository.row), name).rejects.toThrow(
      expected,
    );
  const cache = await refresh(repository);
  expect(cache.made).toBe(60);
  await isExact(repository, cache);
  // With something there already, that stays.
  lab.change(
    repository.file,
    'INSERT INTO shun(uuid, mtime) SELECT uuid, 1 FROM blob WHERE rid IN (SELECT min(fid) FROM mlink WHERE fid > 0)',
  );
  lab.change(repository.file, 'DELETE FROM shun');
  expect(processesOf(lab.root)).toEqual([]);
});

test('git that is killed changes nothing, and is not taken for damage', async () => {
  const repository = await lab.imported(gitHistory(60));
  const slow = otherFossil('slow', 'fossil "$@" | head -c 5000; sleep 5; fossil "$@" | tail -c +5001');
  const before = await refresh(await lab.imported(gitHistory(5)));
  const working = refreshCache(withFossil(slow), repository.row);
  working.catch(() => undefined);
  const importing = await found('fast-import');
  process.kill(importing, 'SIGKILL');
  await expect(working).rejects.toThrow(/fast-import was killed|SIGKILL/);
  const { made } = await refresh(repository);
  expect(made).toBe(60);
  expect(before.made).toBe(5);
});

async function found(program: string): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const [one] = processesOf(lab.root).filter(({ argv }) => argv.includes(program));
    if (one) return one.pid;
    await sleep(25);
  }
  throw new Error(`${program} does not run`);
}

test('aborted, it ends at once with all that it has started', async () => {
  const repository = await lab.imported(gitHistory(60));
  const ended = new AbortController();
  const hanging = otherFossil('hanging', 'sleep 600');
  const working = refreshCache(withFossil(hanging), repository.row, { signal: ended.signal });
  working.catch(() => undefined);
  await found('fast-import');
  const began = performance.now();
  ended.abort();
  await expect(working).rejects.toThrow(/abort|killed/i);
  expect(performance.now() - began).toBeLessThan(2_000);
  await sleep(200);
  expect(processesOf(lab.root)).toEqual([]);
  expect((await refresh(repository)).made).toBe(60);
});

test(
  'killed at any moment and begun again, the refs and hashes are the same',
  { timeout: 300_000 },
  async () => {
    const repository = await lab.imported(gitHistory(300));
    const began = performance.now();
    const whole = await refresh(repository);
    const took = performance.now() - began;
    const refs = await refsIn(whole);
    drop(repository);
    let killed = 0;
    for (let round = 0; round < 20; round++) {
      // Most of them from nothing, some from what a killed one left.
      if (round % 3 !== 2) drop(repository);
      const child = elsewhere(repository);
      const ended = once(child, 'exit');
      await Promise.race([ended, sleep(150 + Math.random() * (took + 400))]);
      if (child.exitCode === null) killed += 1;
      child.kill('SIGKILL');
      await ended;
      const cache = await refresh(repository);
      expect([...cache.commits].toSorted()).toEqual([...whole.commits].toSorted());
      expect(await refsIn(cache)).toBe(refs);
      if (round % 5 === 0) await isExact(repository, cache);
    }
    expect(killed).toBeGreaterThan(5);
  },
);

test('whatever of a cache is damaged, it is noticed, and the hashes are the same', async () => {
  const repository = await lab.imported(gitHistory(120));
  const whole = await refresh(repository);
  const hashes = [...whole.commits].toSorted();
  const folder = cacheFolder(lab.forge.paths, repository.row.id);
  const packs = () =>
    readdirSync(join(whole.folder, 'objects/pack')).map((name) => join(whole.folder, 'objects/pack', name));
  const some = (ending: string) => packs().find((name) => name.endsWith(ending)) ?? '';
  const damages: [string, () => void][] = [
    ['a pack is gone', () => rmSync(some('.pack'))],
    [
      'the list names commits that are not there',
      () => lab.change(join(folder, 'hashes.db'), "UPDATE checkin SET git = 'f' || substr(git, 2)"),
    ],
    ['a pack is cut', () => truncateSync(some('.pack'), statSync(some('.pack')).size - 100)],
    ['an index is gone', () => rmSync(some('.idx'))],
    ['all objects are gone', () => rmSync(join(whole.folder, 'objects'), { recursive: true })],
    ['the Git repository is gone', () => rmSync(whole.folder, { recursive: true })],
    ['the list is cut', () => truncateSync(join(folder, 'hashes.db'), 5_000)],
    ['the list is empty', () => truncateSync(join(folder, 'hashes.db'), 0)],
    ['the list is something else', () => writeFileSync(join(folder, 'hashes.db'), 'no list '.repeat(1_000))],
    ['the list is gone', () => rmSync(join(folder, 'hashes.db'))],
    ['the empty repository is gone', () => rmSync(join(folder, 'empty.fossil'))],
    [
      'locks were left',
      () =>
        ['HEAD.lock', 'packed-refs.lock', 'refs/fossil/keep/x.lock'].forEach((name) =>
          writeFileSync(join(whole.folder, name), ''),
        ),
    ],
    ['everything is gone', () => rmSync(folder, { recursive: true })],
  ];
  for (const [what, damage] of damages) {
    damage();
    const cache = await refresh(repository);
    expect([...cache.commits].toSorted(), what).toEqual(hashes);
    await isExact(repository, cache);
  }
});

test('a pack whose bytes were changed is found by comparing, and made anew when told', async () => {
  const repository = await lab.imported(gitHistory(60));
  const cache = await refresh(repository);
  const [pack = ''] = readdirSync(join(cache.folder, 'objects/pack')).filter((name) =>
    name.endsWith('.pack'),
  );
  const file = join(cache.folder, 'objects/pack', pack);
  const bytes = readFileSync(file);
  chmodSync(file, 0o600);
  bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 200);
  writeFileSync(file, bytes);
  const compared = compareWithGit(repository.file, cache.folder).then(({ differences }) =>
    differences.join('\n'),
  );
  await expect(
    compared.then((said) => (said === '' ? said : Promise.reject(new Error(said)))),
  ).rejects.toThrow(/missing or damaged|cat-file/);
  drop(repository);
  await isExact(repository, await refresh(repository));
});

test('a repository is not written to, and a check-in that comes meanwhile is neither kept waiting nor seen in part', async () => {
  const repository = await lab.repository();
  for (let index = 0; index < 5; index++) {
    repository.write(`f${index}`, `${index}`.repeat(10_000));
    await repository.commit(`check-in ${index}`);
  }
  // What the log has goes to the file when the last one closes it, so that nobody else writes from here on.
  lab.change(repository.file, 'PRAGMA wal_checkpoint(truncate)');
  const before = sumOf(repository.file);
  const stamp = stampOf(repository.file);
  const halfway = otherFossil(
    'halfway',
    'fossil "$@" | head -c 20000; sleep 3; fossil "$@" | tail -c +20001',
  );
  const working = refreshCache(withFossil(halfway), repository.row);
  working.catch(() => undefined);
  await found('fast-import');
  expect(sumOf(repository.file)).toBe(before);
  expect(stampOf(repository.file)).toBe(stamp);
  const began = performance.now();
  repository.write('new', 'comes meanwhile');
  const late = await repository.commit('comes meanwhile');
  expect(performance.now() - began).toBeLessThan(2_500);
  expect(stampOf(repository.file)).not.toBe(stamp);
  const cache = await working;
  expect(cache.commits.has(late)).toBe(false);
  expect(cache.commits.size).toBe(6);
  const next = await refresh(repository);
  expect(next.made).toBe(1);
  await isExact(repository, next);
});

const sumOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

test('what a check-in consists of is waited for, for a while', async () => {
  const repository = await lab.repository();
  repository.write('a', 'one');
  const first = await repository.commit('one');
  repository.write('a', 'two');
  const second = await repository.commit('two');
  repository.write('b', 'three');
  const third = await repository.commit('three');
  const copy = join(lab.root, 'complete.fossil');
  await lab.must(['sqlite3', repository.file, `.backup ${copy}`]);
  const fileOfSecond = `(SELECT fid FROM mlink WHERE mid = (SELECT rid FROM blob WHERE uuid = '${second}'))`;
  // As while a push is under way: the file is known by its name only.
  lab.change(
    repository.file,
    `UPDATE blob SET content = NULL, size = -1 WHERE rid IN ${fileOfSecond}; INSERT INTO phantom SELECT ${fileOfSecond}`,
  );
  const waiting = await refresh(repository);
  expect([...waiting.facts.waiting].toSorted()).toEqual([second, third].toSorted());
  expect([...waiting.commits.keys()]).toContain(first);
  const compared = await compareWithGit(repository.file, waiting.folder, { waiting: waiting.facts.waiting });
  expect(compared.differences).toEqual([]);
  // It never comes: the check-in is there without it.
  lab.change(repository.file, 'UPDATE rcvfrom SET mtime = mtime - 1');
  const without = await refresh(repository);
  expect(without.facts.waiting.size).toBe(0);
  await isExact(repository, without);
  expect(
    await lab.must(['git', '-C', without.folder, 'ls-tree', '--name-only', without.commits.get(third) ?? '']),
  ).toBe('b');
  // It came after all.
  await lab.must(['sqlite3', repository.file, `.restore ${copy}`]);
  const complete = await refresh(repository);
  await isExact(repository, complete);
  drop(repository);
  expect([...(await refresh(repository)).commits].toSorted()).toEqual([...complete.commits].toSorted());
});

test('a damaged artifact ends the export, and nothing is kept of it', async () => {
  const repository = await lab.imported(gitHistory(30));
  lab.change(
    repository.file,
    "UPDATE blob SET content = x'0000000000' WHERE rid = (SELECT max(fid) FROM mlink)",
  );
  await expect(refresh(repository)).rejects.toThrow(/fossil export/);
  using hashes = openHashes(cacheFolder(lab.forge.paths, repository.row.id));
  expect([hashes.checkins().size, hashes.files().length]).toEqual([0, 0]);
});

test('comparing finds what differs', async () => {
  const repository = await lab.imported(gitHistory(20));
  const cache = await refresh(repository);
  const env = ['-c', 'user.name=x', '-c', 'user.email=x@example.com'];
  const commit = [...cache.commits.values()].at(-1) ?? '';
  const foreign = await lab.must([
    'git',
    ...env,
    '-C',
    cache.folder,
    'commit-tree',
    '-m',
    'foreign',
    `${commit}^{tree}`,
  ]);
  const differences = async () =>
    (await compareWithGit(repository.file, cache.folder)).differences.join('\n');
  expect(await differences()).toBe(`commit ${foreign} names no check-in`);
  rmSync(join(cache.folder, 'objects', foreign.slice(0, 2)), { recursive: true });
  const hash = [...cache.commits.keys()].at(-1) ?? '';
  const text = `Check-in 20\n\n\nFossilOrigin-Name: ${hash}`;
  const other = await lab.must([
    'git',
    ...env,
    '-C',
    cache.folder,
    'commit-tree',
    '-m',
    text,
    `${commit}~1^{tree}`,
  ]);
  expect(await differences()).toContain(`check-in ${hash} is in Git twice`);
  rmSync(join(cache.folder, 'objects', other.slice(0, 2)), { recursive: true });
  lab.change(repository.file, `INSERT INTO private SELECT rid FROM blob WHERE uuid = '${hash}'`);
  expect(await differences()).toMatch(new RegExp(`^the hidden check-in ${hash} is in Git`));
  lab.change(repository.file, 'INSERT OR IGNORE INTO private SELECT max(fid) FROM mlink');
  expect(await differences()).toMatch(/the hidden file/);
  lab.change(repository.file, 'DELETE FROM private');
  expect(await differences()).toBe('');
});

test('comparing finds each way in which a check-in may be another one in Git', async () => {
  const { file, row } = await lab.imported(gitHistory(12));
  const cache = await refresh({ row });
  const [before = '', last = ''] = [...cache.commits.values()].slice(-2);
  const hash = [...cache.commits.keys()].at(-1) ?? '';
  const git = (env: Record<string, string>, ...words: string[]) =>
    execFileSync('git', ['-C', cache.folder, ...words], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
  const shown = (format: string) => git({}, 'show', '-s', `--format=${format}`, last).trim();
  // The branch that goes off at the beginning and doesn't come back.
  const [, , , side = ''] = cache.commits.values();
  const [text, at, parent] = [shown('%B'), shown('%ct'), shown('%P')];
  const entries = git({}, 'ls-tree', '-r', last).trimEnd().split('\n');
  /** The last check-in's tree with another first entry. */
  const tree = (change: (entry: string) => string): string => {
    const index = join(lab.root, 'other-index');
    rmSync(index, { force: true });
    const [first = '', ...rest] = entries;
    execFileSync('git', ['-C', cache.folder, 'update-index', '--index-info'], {
      input: [change(first), ...rest].join('\n'),
      env: { ...process.env, GIT_INDEX_FILE: index },
    });
    return git({ GIT_INDEX_FILE: index }, 'write-tree').trim();
  };
  const made = { tree: `${last}^{tree}`, parent, text, at };
  /** A repository in which the last check-in's commit is another one. */
  const withLast = (other: Partial<typeof made>): string => {
    const { tree: files, parent: from, text: said, at: when } = { ...made, ...other };
    const person = (role: string) => ({
      [`GIT_${role}_NAME`]: 'x',
      [`GIT_${role}_EMAIL`]: 'x@example.com',
      [`GIT_${role}_DATE`]: `${when} +0000`,
    });
    const env = { ...person('AUTHOR'), ...person('COMMITTER') };
    const commit = git(env, 'commit-tree', files, '-p', from, '-m', said).trim();
    return holding(commit);
  };
  let count = 0;
  const holding = (commit: string): string => {
    const folder = join(lab.root, `other-${count++}.git`);
    execFileSync('git', ['init', '-q', '--bare', folder]);
    git({}, 'push', '-q', folder, `${commit}:refs/heads/main`, `${side}:refs/heads/side`);
    return folder;
  };
  const differences = async (folder: string) => (await compareWithGit(file, folder)).differences;
  expect(await differences(holding(last))).toEqual([]);
  expect(await differences(withLast({}))).toEqual([]);
  expect(await differences(holding(before))).toEqual([`check-in ${hash} is not in Git`]);
  for (const [other, what] of [
    [{ text: text.replace('Check-in 12', 'Check-in twelve') }, 'has another text in Git'],
    [{ at: String(Number(at) + 1) }, 'has another date in Git'],
    [{ parent: `${before}~1` }, 'has other parents in Git'],
    [{ tree: tree((entry) => entry.replace('100644', '100755')) }, 'has other files, names or modes in Git'],
    [{ tree: tree((entry) => `${entry}x`) }, 'has other files, names or modes in Git'],
    [{ tree: `${before}^{tree}` }, `${hash}: the content`],
  ] as const) {
    const found = await differences(withLast(other));
    expect(found.join('\n'), JSON.stringify(other)).toContain(what);
  }
  // A few that are compared in full say nothing of one that was never exported.
  const sample = {
    checkins: new Set([...cache.commits.keys()].slice(0, 2)),
    git: (checkin: string) => (checkin === hash ? undefined : cache.commits.get(checkin)),
  };
  using hashes = openHashes(dirname(cache.folder));
  const some = await compareWithGit(file, cache.folder, { sample: { ...sample, files: hashes.fileOf } });
  expect(some).toMatchObject({ checkins: 2, differences: [`check-in ${hash} is not in Git`] });
});

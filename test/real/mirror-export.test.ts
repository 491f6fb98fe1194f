import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { beforeAll, afterAll, expect, test } from 'vitest';
import { type MirrorCache, refreshCache } from '../../src/mirror/export/cache.ts';
import { compareWithGit } from '../../src/mirror/compare/compare.ts';
import { wantedRefs } from '../../src/mirror/export/refs.ts';
import { type MirrorLab, mirrorLab, oddNames } from './support/mirror-lab.ts';

let lab: MirrorLab;
beforeAll(() => {
  lab = mirrorLab();
});
afterAll(() => lab[Symbol.dispose]());

type Repository = Awaited<ReturnType<MirrorLab['repository']>>;

const refresh = (of: Pick<Repository, 'row'>) => refreshCache(lab.forge, of.row);
const git = (cache: MirrorCache, ...args: string[]) => lab.must(['git', '-C', cache.folder, ...args]);

/** Brings it up to date; both sides are the same, and Git finds nothing wrong. */
async function exported(repository: Pick<Repository, 'row' | 'file'>): Promise<MirrorCache> {
  const cache = await refresh(repository);
  const { differences, checkins } = await compareWithGit(repository.file, cache.folder);
  expect(differences).toEqual([]);
  expect(checkins).toBe(cache.commits.size);
  await git(cache, 'fsck', '--full', '--strict');
  return cache;
}

/** The refs of a mirror: what each of them names in Fossil. */
const refs = ({ facts }: MirrorCache): Record<string, string> =>
  Object.fromEntries(
    wantedRefs(facts, { main: 'main', branches: undefined }).map(({ ref, fossil }) => [ref, fossil]),
  );

const commitOf = ({ commits }: MirrorCache, hash: string): string => {
  const commit = commits.get(hash);
  if (commit === undefined) throw new Error(`${hash} is not there`);
  return commit;
};

/** A cache made from nothing has the same hashes. */
async function sameFromNothing(repository: Repository, cache: MirrorCache): Promise<void> {
  rmSync(join(cache.folder, '..'), { recursive: true });
  const again = await exported(repository);
  expect([...again.commits].toSorted()).toEqual([...cache.commits].toSorted());
  expect(again.made).toBe(cache.commits.size);
}

test('trees, modes, names, texts, dates and parents are exact, also when they come one by one', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit, checkout } = repository;
  await fossil('settings', 'allow-symlinks', 'on');
  for (const name of oddNames) write(name, `${name}\n`);
  write('empty', '');
  write('no end', 'no line end');
  write('binary', Buffer.from([0, 255, 10, 13, 0, 128]));
  write('latin1', Buffer.from([0xe9, 0x0a]));
  write('run', '#!/bin/sh\n');
  chmodSync(join(checkout, 'run'), 0o755);
  symlinkSync('with space', join(checkout, 'link'));
  write('file-or-folder', 'a file');
  write('folder-or-file/x', 'in a folder');
  await commit('ümläut\n\nand "more" \\ lines');
  await exported(repository);

  rmSync(join(checkout, 'file-or-folder'));
  write('file-or-folder/y', 'now a folder');
  rmSync(join(checkout, 'folder-or-file'), { recursive: true });
  write('folder-or-file', 'now a file');
  rmSync(join(checkout, 'plain'));
  chmodSync(join(checkout, 'run'), 0o644);
  rmSync(join(checkout, 'link'));
  write('link', 'no link any more');
  await commit(' ');
  await fossil('mv', '--hard', 'case', 'moved/here');
  await commit('text with <angle> brackets & [links]');
  await exported(repository);

  await fossil('update', 'prev');
  write('side', '1');
  const side = await commit('on the side', '--branch', 'side');
  await fossil('update', 'trunk');
  await fossil('merge', 'side');
  const merged = await commit('merged');
  const cache = await exported(repository);
  expect(cache.facts.parents.get(merged)?.[1]).toBe(side);
  const commitText = await git(cache, 'cat-file', 'commit', commitOf(cache, merged));
  expect(commitText.trimEnd().endsWith(`merged\n\nFossilOrigin-Name: ${merged}`)).toBe(true);
  await sameFromNothing(repository, cache);
});

test('a comment and a file name that are no UTF-8 keep their bytes', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit, file, sql } = repository;
  write('a', 'content\n');
  const first = await commit('first');
  const content = (await fossil('sha3sum', 'a')).slice(0, 64);
  // Written by hand, with raw bytes where Fossil escapes nothing; its rebuild takes such a check-in as it is.
  const add = (parent: string, comment: string, name: string, second: string): string => {
    const cards = [
      ...[
        `C ${comment}`,
        `D 2023-12-01T00:00:${second}.000`,
        `F ${name} ${content}`,
        `P ${parent}`,
        'U admin',
      ],
    ].map((card) => `${card}\n`);
    const body = Buffer.from(cards.join(''), 'latin1');
    const sum = createHash('md5').update(body).digest('hex');
    const artifact = Buffer.concat([body, Buffer.from(`Z ${sum}\n`)]);
    const hash = createHash('sha1').update(artifact).digest('hex');
    const size = Buffer.alloc(4);
    size.writeUInt32BE(artifact.length);
    const stored = Buffer.concat([size, deflateSync(artifact)]).toString('hex');
    sql(
      `INSERT INTO blob(rcvid, size, uuid, content) VALUES (1, ${artifact.length}, '${hash}', X'${stored}')`,
    );
    return hash;
  };
  const spoken = add(first, 'caf\xe9\\sand\\s\xff\xfe', 'a', '01');
  const called = add(spoken, 'plain', 'caf\xe9/\x80.txt', '02');
  await lab.must(['fossil', 'rebuild', file]);
  const cache = await exported(repository);
  const raw = (...args: string[]) =>
    execFileSync('git', ['-C', cache.folder, ...args], { encoding: 'latin1' });
  const text = raw('cat-file', 'commit', commitOf(cache, spoken));
  expect(text.slice(text.indexOf('\n\n') + 2)).toContain('caf\xe9 and \xff\xfe\n');
  const tree = raw('ls-tree', '-r', '-z', '--name-only', commitOf(cache, called));
  expect(tree).toBe('caf\xe9/\x80.txt\0');
  expect(raw('show', `${commitOf(cache, spoken)}:a`)).toBe('content\n');
  await sameFromNothing(repository, cache);
});

test('check-ins that come late, with old dates, all come', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit } = repository;
  write('a', '1');
  const first = await commit('first');
  await exported(repository);
  write('a', '2');
  const old = await commit('made in 2001', '--date-override', '2001-02-03 04:05:06');
  write('a', '3');
  await commit('before there was time', '--date-override', '1960-01-01');
  await fossil('update', first);
  write('b', '1');
  await commit('another line, of 1999', '--date-override', '1999-12-31 23:59:59');
  const cache = await exported(repository);
  expect(cache.made).toBe(3);
  expect(await git(cache, 'show', '--no-patch', '--format=%at %an', commitOf(cache, old))).toBe(
    '981173106 admin',
  );
  await sameFromNothing(repository, cache);
});

test('a ref for each line of a branch; tags added, moved and cancelled; branches renamed, closed and opened again', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit } = repository;
  write('a', '1');
  const base = await commit('base', '--tag', 'begun');
  write('a', '2');
  const one = await commit('one');
  await fossil('update', base);
  write('b', '1');
  const two = await commit('two');
  expect(refs(await exported(repository))).toMatchObject({
    'refs/heads/main': two,
    [`refs/heads/main-fork-${one.slice(0, 10)}`]: one,
    'refs/tags/begun': base,
  });
  // One that others inherit is on many check-ins: which would Git's be?
  await fossil('tag', 'add', '--propagate', 'inherited', base);
  // Older than what was last exported, and nothing but a tag.
  await fossil('tag', 'add', 'v1', base);
  await fossil('tag', 'cancel', 'begun', base);
  let cache = await exported(repository);
  expect(cache.made).toBe(0);
  expect(refs(cache)).toMatchObject({ 'refs/tags/v1': base });
  expect(refs(cache)).not.toHaveProperty('refs/tags/begun');
  await fossil('tag', 'add', 'v1', one);
  await fossil('amend', one, '--branch', 'a name with spaces');
  cache = await exported(repository);
  const [renamed = ''] = Object.keys(refs(cache)).filter((ref) => ref.includes('a-name-with-spaces-'));
  expect(refs(cache)).toEqual({ 'refs/heads/main': two, [renamed]: one, 'refs/tags/v1': one });
  await fossil('amend', one, '--close');
  expect(
    (await refresh(repository)).facts.branches.map(({ name, leaves }) => [name, leaves[0].closed]),
  ).toEqual([
    ['trunk', false],
    ['a name with spaces', true],
  ]);
  // A closed line never takes an open one's place.
  await fossil('amend', one, '--branch', 'trunk');
  await fossil('amend', two, '--close');
  await fossil('tag', 'cancel', '--raw', 'closed', one);
  expect(refs(await exported(repository))).toEqual({
    'refs/heads/main': one,
    [`refs/heads/main-fork-${two.slice(0, 10)}`]: two,
    'refs/tags/v1': one,
  });
  await fossil('update', one);
  await fossil('merge', two);
  const joined = await commit('joined');
  cache = await exported(repository);
  expect(refs(cache)).toEqual({ 'refs/heads/main': joined, 'refs/tags/v1': one });
  await sameFromNothing(repository, cache);
});

test('an amended text, date or author does not change a commit that is out in the world', async () => {
  const repository = await lab.repository();
  repository.write('a', '1');
  const hash = await repository.commit('as it was');
  const cache = await exported(repository);
  await repository.fossil(
    'amend',
    hash,
    '-m',
    'another text',
    '--date',
    '2002-02-02',
    '--author',
    'somebody',
  );
  await sameFromNothing(repository, cache);
});

test('whoever made a check-in is called the same for ever, and whatever Fossil knows of them can be written', async () => {
  const repository = await lab.repository();
  const { write, commit, sql, row } = repository;
  const people = [
    ['newline', 'Some\nbody <some@example.com>'],
    ['angle<b', 'a>b'],
    ['nothing', ''],
    ['quoted', '"The Quoted" <q@example.com> and more <x>'],
  ] as const;
  for (const [login, info] of people) {
    sql(`INSERT INTO user(login, cap, info) VALUES ('${login}', 'v', '${info}')`);
    write('a', login);
    await commit(login, '--user-override', login);
  }
  const cache = await exported(repository);
  const said = (await git(cache, 'log', '--all', '--format=%an <%ae>')).split('\n');
  expect(new Set(said)).toEqual(
    new Set([
      'Some body <some@example.com>',
      'angleb <angleb@noemail.net>',
      'nothing <nothing@noemail.net>',
      'The Quoted <q@example.com>',
      'admin <admin@noemail.net>',
    ]),
  );
  sql("UPDATE user SET info = 'New Name <new@example.com>'");
  write('a', 'again');
  await commit('again', '--user-override', 'nothing');
  const later = await exported(repository);
  expect(await git(later, 'log', '--all', '--format=%ae')).not.toContain('new@example.com');
  await sameFromNothing(repository, later);
  expect(row.id).toMatch(/^0{8}-/);
});

test('what is private is nowhere in Git; what is published later comes', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit } = repository;
  write('a', 'public\n');
  await commit('public');
  write('secret', 'a secret of ours\n');
  const hidden = await commit('a private text', '--private', '--branch', 'hush');
  write('a', 'public, changed in private\n');
  const more = await commit('more in private');
  let cache = await exported(repository);
  expect(cache.commits.size).toBe(2);
  const everything = async () => {
    const hashes = await git(cache, 'cat-file', '--batch-all-objects', '--batch');
    return `${hashes}\n${JSON.stringify(refs(cache))}`;
  };
  expect(await everything()).not.toMatch(/secret|private|hush/);
  expect(await everything()).toContain('public');
  await fossil('update', 'trunk');
  await fossil('merge', 'hush');
  const merged = await commit('merged into what is public');
  cache = await exported(repository);
  expect(cache.facts.parents.get(merged)).toHaveLength(1);
  expect(await git(cache, 'show', `${commitOf(cache, merged)}:secret`)).toBe('a secret of ours');
  expect(await everything()).not.toMatch(/a private text|more in private|hush/);

  // The last of the line alone: what came before it stays private, and the whole tree has to be there all the same.
  await fossil('publish', more);
  cache = await exported(repository);
  expect(cache.commits.has(hidden)).toBe(false);
  expect(cache.facts.parents.get(more)).toEqual([]);
  expect(await git(cache, 'show', `${commitOf(cache, more)}:secret`)).toBe('a secret of ours');
  const alone = commitOf(cache, more);
  await fossil('publish', hidden);
  cache = await exported(repository);
  expect(cache.facts.parents.get(more)).toEqual([hidden]);
  expect(commitOf(cache, more)).not.toBe(alone);
  expect(await git(cache, 'cat-file', '--batch-all-objects', '--batch-check')).not.toContain(alone);
  await sameFromNothing(repository, cache);
});

test('what was shunned is gone from Git, before and after a rebuild', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit, sql, file } = repository;
  write('a', 'stays\n');
  write('password', 'swordfish\n');
  const first = await commit('with a password');
  write('a', 'changed\n');
  await commit('after it');
  const before = await exported(repository);
  expect(await git(before, 'show', `${commitOf(before, first)}:password`)).toBe('swordfish');
  const password = (await fossil('sha3sum', 'password')).slice(0, 64);
  sql(`INSERT INTO shun(uuid, mtime) VALUES ('${password}', 1)`);
  const after = await exported(repository);
  expect(after.made).toBe(2);
  expect(await git(after, 'cat-file', '--batch-all-objects', '--batch')).not.toContain('swordfish');
  await lab.must(['fossil', 'rebuild', file]);
  const rebuilt = await exported(repository);
  expect(rebuilt.made).toBe(0);
  await sameFromNothing(repository, after);
  // A whole check-in.
  sql(`INSERT INTO shun(uuid, mtime) VALUES ('${first}', 1)`);
  const without = await exported(repository);
  expect(without.commits.has(first)).toBe(false);
  await lab.must(['fossil', 'rebuild', file]);
  expect((await exported(repository)).commits).toEqual(without.commits);
});

test('a file that is shunned in the stead of another one of its check-in is gone from Git, and that one is back', async () => {
  const repository = await lab.repository();
  const { fossil, write, commit, sql, file } = repository;
  write('innocent', 'harmless\n');
  write('password', 'swordfish\n');
  const first = await commit('with a password');
  const [innocent, password] = await Promise.all(
    ['innocent', 'password'].map(async (name) => (await fossil('sha3sum', name)).slice(0, 64)),
  );
  write('innocent', 'changed\n');
  await commit('after it');
  const shun = (hash: string | undefined) =>
    sql(`DELETE FROM shun; INSERT INTO shun(uuid, mtime) VALUES ('${hash ?? ''}', 1)`);
  await exported(repository);
  shun(innocent);
  const wrong = await exported(repository);
  expect(await git(wrong, 'show', `${commitOf(wrong, first)}:password`)).toBe('swordfish');
  shun(password);
  const right = await exported(repository);
  expect(right.made).toBe(2);
  expect(await git(right, 'show', `${commitOf(right, first)}:innocent`)).toBe('harmless');
  expect(await git(right, 'cat-file', '--batch-all-objects', '--batch')).not.toContain('swordfish');
  await lab.must(['fossil', 'rebuild', file]);
  expect((await exported(repository)).made).toBe(0);
  await sameFromNothing(repository, right);
  // Nothing is shunned any more, and what is gone stays gone.
  sql('DELETE FROM shun');
  expect((await exported(repository)).commits).toEqual(right.commits);
});

test('a mirror goes back with a restored repository, and forward again', async () => {
  const repository = await lab.repository();
  const { write, commit, file, fossil } = repository;
  write('a', '1');
  await commit('one');
  const then = await exported(repository);
  const copy = join(lab.root, 'then.fossil');
  const later = join(lab.root, 'later.fossil');
  await lab.must(['sqlite3', file, `.backup ${copy}`]);
  write('a', '2');
  const lost = await commit('two');
  const now = await exported(repository);
  await lab.must(['sqlite3', file, `.backup ${later}`]);
  await lab.must(['sqlite3', file, `.restore ${copy}`]);
  const back = await exported(repository);
  expect(back.commits).toEqual(then.commits);
  expect(await git(back, 'cat-file', '--batch-all-objects', '--batch-check')).not.toContain(
    commitOf(now, lost),
  );
  await lab.must(['sqlite3', file, `.restore ${later}`]);
  const again = await exported(repository);
  expect(again.made).toBe(1);
  expect([...again.commits].toSorted()).toEqual([...now.commits].toSorted());
  // Another numbering of the same: a clone.
  const clone = join(lab.root, 'clone.fossil');
  await lab.must(['fossil', 'clone', '--no-open', '--once', file, clone]);
  await fossil('close', '--force');
  await lab.must(['sqlite3', file, `.restore ${clone}`]);
  const cloned = await exported(repository);
  expect(cloned.made).toBe(0);
  expect([...cloned.commits].toSorted()).toEqual([...now.commits].toSorted());
});

test('hundreds of check-ins of one moment are put in their order', async () => {
  const stream = ['reset refs/heads/master\n'];
  for (let index = 1; index <= 300; index++)
    stream.push(
      `commit refs/heads/master\nmark :${index}\ncommitter P <p@example.com> 1600000000 +0000\ndata 1\n.\n`,
      index > 1 ? `from :${index - 1}\n` : '',
      `M 100644 inline f\ndata ${String(index).length}\n${index}\n`,
    );
  const repository = await lab.imported(stream);
  const cache = await exported(repository);
  expect(cache.commits.size).toBe(300);
  expect(await git(cache, 'rev-list', '--all', '--count')).toBe('300');
});

test('an empty repository, and one that is no repository', async () => {
  const repository = await lab.repository();
  const cache = await exported(repository);
  expect(cache.commits.size).toBe(1);
  const missing = { row: { ...repository.row, id: 'missing', file: 'repos/missing.fossil' } };
  await expect(refresh(missing)).rejects.toThrow('missing.fossil is not there');
  writeFileSync(join(lab.forge.paths.repos, 'text.fossil'), 'no database '.repeat(1000));
  const text = { row: { ...repository.row, id: 'text', file: 'repos/text.fossil' } };
  await expect(refresh(text)).rejects.toThrow('text.fossil is not a Fossil repository');
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RemoteError } from '../../src/mirror/remote/error.ts';
import { planPush, type PushRequest } from '../../src/mirror/remote/plan-push.ts';
import { applyPush, pushRefs, type PushResult } from '../../src/mirror/remote/push.ts';
import { type Remote, withRemote } from '../../src/mirror/remote/remote.ts';
import type { Command } from '../../src/system/run.ts';
import { measured } from './processes.ts';
import { type GitLab, startGitLab } from './support/git-lab.ts';

let lab: GitLab;
let cache: string;
/** Commits of the cache: a line of three, and one beside the last. */
let a: string;
let b: string;
let c: string;
let side: string;

beforeAll(async () => {
  lab = startGitLab();
  cache = await lab.bare('cache.git');
  a = await lab.commit(cache, 'first');
  b = await lab.commit(cache, 'second', { parents: [a] });
  c = await lab.commit(cache, 'third', { parents: [b] });
  side = await lab.commit(cache, 'beside', { parents: [b] });
});
afterAll(() => lab[Symbol.dispose]());

const main = 'refs/heads/main';
const at = (refs: Record<string, string>) => new Map(Object.entries(refs));
const path = (url: string): Remote => ({ url, credential: undefined, hostKeys: undefined });

/** Pushes to a remote as a mirror does. */
const push = (remote: Remote, request: Partial<PushRequest>, limits = {}): Promise<PushResult> =>
  withRemote(
    lab.forge,
    remote,
    (git) => pushRefs(git, { folder: cache, wanted: at({}), last: at({}), policy: 'refuse', ...request }),
    { limits },
  );

/** The outcome of each ref. */
const outcomes = ({ refs }: PushResult) => Object.fromEntries(refs.map(({ ref, outcome }) => [ref, outcome]));

/** What a work that has to fail with a remote's error said. */
async function failure(work: Promise<unknown>): Promise<RemoteError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RemoteError)) throw new Error(`no RemoteError but ${String(error)}`);
  return error;
}

/** Lets a repository's hook refuse: it reads `OLD NEW REF` lines. */
function hook(repository: string, name: 'pre-receive' | 'update' | 'post-receive', script: string): void {
  const file = join(repository, 'hooks', name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

describe('a push', () => {
  test('makes, moves, rewinds and deletes our refs, and no others', async () => {
    const remote = await lab.bare('life.git');
    const first = await push(path(remote), {
      wanted: at({ [main]: b, 'refs/heads/old': a, 'refs/heads/back': b, 'refs/tags/v1': a }),
      main,
    });
    expect(first).toMatchObject({ ok: true, error: undefined });
    expect(new Set(Object.values(outcomes(first)))).toEqual(new Set(['created']));
    expect(first.bytes).toBeGreaterThan(100);
    expect(await lab.git(remote, ['symbolic-ref', 'HEAD'])).toBe(main);

    await lab.git(remote, ['update-ref', 'refs/heads/theirs', a]);
    await lab.git(remote, ['update-ref', 'refs/pull/1/head', a]);
    await lab.git(remote, ['update-ref', 'refs/notes/commits', a]);
    const wanted = at({ [main]: c, 'refs/heads/back': a, 'refs/tags/v1': b, 'refs/heads/new': side });
    const second = await push(path(remote), { wanted, last: first.last });
    expect(second.ok).toBe(true);
    expect(outcomes(second)).toEqual({
      [main]: 'updated',
      'refs/heads/back': 'forced',
      'refs/heads/new': 'created',
      'refs/heads/old': 'deleted',
      'refs/tags/v1': 'forced',
    });
    expect(await lab.refs(remote)).toEqual({
      ...Object.fromEntries(wanted),
      'refs/heads/theirs': a,
      'refs/notes/commits': a,
      'refs/pull/1/head': a,
    });
    expect(second.last).toEqual(wanted);
  });
});

describe('divergence', () => {
  /** A remote to which somebody else pushed `count` commits on top of `main`. */
  async function diverged(name: string, count: number) {
    const remote = await lab.bare(name);
    const { last } = await push(path(remote), { wanted: at({ [main]: b, 'refs/heads/dev': a }) });
    let theirs = b;
    for (let made = 1; made <= count; made++)
      theirs = await lab.commit(remote, `theirs ${made}`, { parents: [theirs], author: 'Eve \x1b[31mElse' });
    await lab.git(remote, ['update-ref', main, theirs]);
    return { remote, last, theirs };
  }
  const wanted = () => at({ [main]: c, 'refs/heads/dev': b });

  test('refuse: nothing goes to the diverged ref, its foreign commits are listed, the others go on', async () => {
    const { remote, last, theirs } = await diverged('refuse.git', 2);
    const objects = await lab.git(cache, ['count-objects', '-v']);
    const result = await push(path(remote), { wanted: wanted(), last });
    expect(result.ok).toBe(false);
    expect(outcomes(result)).toEqual({ [main]: 'diverged', 'refs/heads/dev': 'updated' });
    expect(result.error).toMatchObject({ kind: 'diverged' });
    expect(result.error?.message).toContain(
      `refs/heads/main (2 foreign commits: ${theirs.slice(0, 10)} Eve Else: theirs 2, `,
    );
    expect(result.diverged).toMatchObject([
      { ref: main, there: theirs, last: b, wanted: c, more: false, unread: undefined },
    ]);
    expect(result.diverged[0]?.commits).toMatchObject([
      { hash: theirs, subject: 'theirs 2', author: 'Eve Else', mail: 'ann@example.org' },
      { subject: 'theirs 1', date: expect.stringMatching(/^2020-09-13T.*(\+00:00|Z)$/) as string },
    ]);
    expect(result.last.get(main)).toBe(b);
    expect(await lab.refs(remote)).toEqual({ [main]: theirs, 'refs/heads/dev': b });
    expect(await lab.git(cache, ['count-objects', '-v'])).toBe(objects);
    expect(readdirSync(lab.forge.paths.tmp)).toEqual([]);
  });

  test('what somebody else pushed is named, though another ref is refused', async () => {
    const { remote, last } = await diverged('both.git', 1);
    hook(remote, 'update', '[ "$1" != refs/heads/dev ] || exit 1');
    const result = await push(path(remote), { wanted: at({ [main]: b, 'refs/heads/dev': b }), last });
    expect(outcomes(result)).toEqual({ [main]: 'diverged', 'refs/heads/dev': 'rejected' });
    expect(result.error).toMatchObject({ kind: 'rejected' });
    expect(result.error?.message).toContain('refused one ref: refs/heads/dev');
    expect(result.error?.message).toMatch(/not pushed from here in one ref: refs\/heads\/main .*theirs 1/);
    expect(result.error?.next).toContain('Bring these commits into Fossil');
  });

  test('keep: as refuse, and it is no failure', async () => {
    const { remote, last, theirs } = await diverged('keep.git', 1);
    const result = await push(path(remote), { wanted: wanted(), last, policy: 'keep' });
    expect(result).toMatchObject({ ok: true, error: undefined, diverged: [{ ref: main, overwrite: false }] });
    expect(await lab.refs(remote)).toEqual({ [main]: theirs, 'refs/heads/dev': b });
  });

  test('overwrite: ours takes its place, and what went is listed', async () => {
    const { remote, last } = await diverged('overwrite.git', 25);
    const result = await push(path(remote), { wanted: wanted(), last, policy: 'overwrite' });
    expect(result.ok).toBe(true);
    expect(outcomes(result)).toEqual({ [main]: 'forced', 'refs/heads/dev': 'updated' });
    expect(result.diverged).toMatchObject([{ overwrite: true, more: true }]);
    expect(result.diverged[0]?.commits).toHaveLength(20);
    expect(result.diverged[0]?.commits[0]?.subject).toBe('theirs 25');
    expect(await lab.refs(remote)).toEqual({ [main]: c, 'refs/heads/dev': b });
  });

  test('overwrite puts ours only in the place of what was seen', async () => {
    const { remote, last, theirs } = await diverged('raced.git', 1);
    const later = await lab.commit(remote, 'later', { parents: [theirs] });
    const request = { folder: cache, wanted: wanted(), last, policy: 'overwrite' } as const;
    const result = await withRemote(lab.forge, path(remote), async (git) => {
      const plan = await planPush(git, request);
      await lab.git(remote, ['update-ref', main, later]);
      return applyPush(git, request, plan);
    });
    expect(result.error).toMatchObject({ kind: 'rejected' });
    expect(result.refs.find(({ ref }) => ref === main)?.why).toBe('it was changed there meanwhile');
    expect((await lab.refs(remote))[main]).toBe(later);
  });

  test('a foreign branch or tag with a name that is wanted, and a deletion of what somebody went on with', async () => {
    const remote = await lab.bare('names.git');
    const { last } = await push(path(remote), { wanted: at({ 'refs/heads/gone': a }) });
    const theirs = await lab.commit(remote, 'theirs', { parents: [a] });
    await lab.git(remote, ['update-ref', 'refs/heads/gone', theirs]);
    await lab.git(remote, ['update-ref', 'refs/heads/taken', theirs]);
    await lab.git(remote, ['tag', '-a', '-m', 'an annotated one', 'v1', a]);
    const there = await lab.refs(remote);
    const result = await push(path(remote), {
      wanted: at({ 'refs/heads/taken': b, 'refs/tags/v1': b }),
      last,
    });
    expect(result.diverged.map(({ ref, commits }) => [ref, commits.length])).toEqual([
      ['refs/heads/gone', 1],
      ['refs/heads/taken', 1],
      ['refs/tags/v1', 0],
    ]);
    expect(await lab.refs(remote)).toEqual(there);
  });

  test('what lies behind check-ins with old dates is ours all the same', async () => {
    const dates = Array.from(
      { length: 60 },
      (_, index) => (index < 44 || index > 53 ? 1_600_000_000 : 981_173_106) + index,
    );
    const commits = dates.map((date, index) => {
      const from = index === 0 ? '' : `\nfrom :${index}`;
      return `commit refs/heads/dated\nmark :${index + 1}\ncommitter ann <ann@example.org> ${date} +0000\ndata 4\nours${from}\n`;
    });
    await lab.git(cache, ['fast-import', '--quiet'], { input: commits.join('') });
    const [tip = '', early = ''] = (await lab.git(cache, ['rev-parse', 'dated', 'dated~20'])).split('\n');
    const remote = await lab.bare('dates.git');
    const { last } = await push(path(remote), { wanted: at({ [main]: tip }) });
    // Set back by force: nobody's work is lost by putting it right.
    await lab.git(remote, ['update-ref', main, early]);
    const right = await push(path(remote), { wanted: at({ [main]: tip }), last });
    expect(right).toMatchObject({ ok: true, diverged: [] });
    expect(await lab.refs(remote)).toEqual({ [main]: tip });
    const theirs = await lab.commit(remote, 'theirs', { parents: [early], author: 'Eve Else' });
    await lab.git(remote, ['update-ref', main, theirs]);
    const refused = await push(path(remote), { wanted: at({ [main]: tip }), last: right.last });
    expect(refused.diverged[0]?.commits.map(({ hash }) => hash)).toEqual([theirs]);
  });

  test('what a killed push left, an expected rewind, and a ref that was deleted there are none', async () => {
    const remote = await lab.bare('ours.git');
    await push(path(remote), { wanted: at({ [main]: c, 'refs/heads/fork': side, 'refs/heads/x': a }) });
    await lab.git(remote, ['update-ref', '-d', 'refs/heads/x']);
    // Nothing was written down; then the leaf of main and that of its fork changed places, and main went back behind both.
    const moved = await push(path(remote), {
      wanted: at({ [main]: side, 'refs/heads/fork': c, 'refs/heads/x': b }),
    });
    expect(moved).toMatchObject({ ok: true, diverged: [] });
    const rewound = await push(path(remote), { wanted: at({ [main]: a }), last: moved.last });
    expect(rewound).toMatchObject({ ok: true, diverged: [] });
    expect(await lab.refs(remote)).toEqual({ [main]: a });
    // The same without having written down what was pushed last: commits would be lost that nothing here leads to.
    const unwritten = await push(path(remote), { wanted: at({ [main]: c }) });
    expect(unwritten.ok).toBe(true);
    const refused = await push(path(remote), { wanted: at({ [main]: a }) });
    expect(refused.diverged).toMatchObject([{ ref: main, there: c }]);
    expect(refused.diverged[0]?.commits.map(({ subject }) => subject)).toEqual(['third', 'second']);
  });
});

describe('a remote that refuses', () => {
  test('a protected branch, and what its hook says about it, doesn’t stop the others', async () => {
    const remote = await lab.bare('protected.git');
    hook(remote, 'update', '[ "$1" != refs/heads/main ] || { echo "main is protected: ask Ann"; exit 1; }');
    const wanted = at({ [main]: a, 'refs/heads/dev': b, 'refs/tags/v1': a });
    const result = await push(path(remote), { wanted, main });
    expect(outcomes(result)).toEqual({
      [main]: 'rejected',
      'refs/heads/dev': 'created',
      'refs/tags/v1': 'created',
    });
    expect(result.error).toMatchObject({ kind: 'rejected' });
    expect(result.error?.message).toContain(
      'refused one ref: refs/heads/main (hook declined; main is protected: ask Ann)',
    );
    expect(result.last).toEqual(at({ 'refs/heads/dev': b, 'refs/tags/v1': a }));
  });

  test('a hook that declines a whole push for two refs in forty: the others arrive', async () => {
    const remote = await lab.bare('declined.git');
    const log = join(lab.root, 'declined.log');
    hook(
      remote,
      'pre-receive',
      `echo push >>${log}; while read -r old new ref; do case $ref in */bad-*) echo "too large: $ref"; bad=1;; esac; done; exit \${bad:-0}`,
    );
    const good = Array.from({ length: 38 }, (_, index) => [`refs/heads/n${index}`, b] as const);
    const wanted = new Map([...good, ['refs/heads/bad-1', a], ['refs/tags/bad-2', a]]);
    const result = await push(path(remote), { wanted });
    expect(await lab.refs(remote)).toEqual(Object.fromEntries(good));
    const refused = result.refs.filter(({ outcome }) => outcome === 'rejected');
    expect(refused).toMatchObject([
      { ref: 'refs/heads/bad-1', why: 'pre-receive hook declined', said: ['too large: refs/heads/bad-1'] },
      { ref: 'refs/tags/bad-2', said: ['too large: refs/tags/bad-2'] },
    ]);
    const pushes = readFileSync(log, 'utf8').split('\n').length - 1;
    expect(pushes).toBeLessThan(30);
    // Next time only these are tried again.
    const again = await push(path(remote), { wanted, last: result.last });
    expect(again.refs.filter(({ outcome }) => outcome !== 'same')).toHaveLength(2);
  });

  test('what it says that it took is looked for', async () => {
    const remote = await lab.bare('liar.git');
    hook(remote, 'post-receive', 'git update-ref -d refs/heads/x');
    const result = await push(path(remote), { wanted: at({ [main]: b, 'refs/heads/x': a }) });
    expect(outcomes(result)).toEqual({ [main]: 'created', 'refs/heads/x': 'rejected' });
    expect(result.error?.message).toContain('said that it took it, and has nothing');
    expect(result.last).toEqual(at({ [main]: b }));
  });

  test('one that declines everything is not asked for ever', async () => {
    const remote = await lab.bare('closed.git');
    const log = join(lab.root, 'closed.log');
    hook(remote, 'pre-receive', `echo push >>${log}; exit 1`);
    const wanted = new Map(Array.from({ length: 200 }, (_, index) => [`refs/heads/n${index}`, a] as const));
    const result = await push(path(remote), { wanted });
    expect(new Set(Object.values(outcomes(result)))).toEqual(new Set(['rejected']));
    expect(readFileSync(log, 'utf8').split('\n').length - 1).toBeLessThanOrEqual(61);
  });

  test('a branch in the way of a folder of branches goes first; one of somebody else’s is said', async () => {
    const remote = await lab.bare('folders.git');
    const first = await push(path(remote), { wanted: at({ 'refs/heads/x': a, 'refs/heads/y/z': a }) });
    const wanted = at({ 'refs/heads/x/1': a, 'refs/heads/y': b });
    const second = await push(path(remote), { wanted, last: first.last });
    expect(second.error).toBeUndefined();
    expect(await lab.refs(remote)).toEqual(Object.fromEntries(wanted));
    await lab.git(remote, ['update-ref', 'refs/heads/theirs', a]);
    const third = await push(path(remote), {
      wanted: new Map([...wanted, ['refs/heads/theirs/1', a], ['refs/heads/free', a]]),
      last: second.last,
    });
    expect(
      third.refs.filter(({ outcome }) => outcome !== 'same').map(({ ref, outcome }) => [ref, outcome]),
    ).toEqual([
      ['refs/heads/free', 'created'],
      ['refs/heads/theirs/1', 'rejected'],
    ]);
  });

  test('a folder of another user’s is not pushed to: its hooks would run', async () => {
    const remote = await lab.bare('others.git');
    const ran = join(lab.root, 'hook-ran');
    hook(remote, 'pre-receive', `touch ${ran}`);
    // An ordinary user can't give a folder away; git has a variable for its own tests that takes every owner for another.
    const asRoot = process.getuid?.() === 0;
    if (asRoot) chownSync(remote, 24_001, 24_001);
    const others = asRoot ? {} : { GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' };
    const forge = {
      ...lab.forge,
      run: (command: Command) => lab.forge.run({ ...command, env: { ...command.env, ...others } }),
    };
    const request: PushRequest = { folder: cache, wanted: at({ [main]: a }), last: at({}), policy: 'refuse' };
    const error = await failure(withRemote(forge, path(remote), (git) => pushRefs(git, request)));
    expect(error.kind).toBe('credential');
    expect(error.message).toContain('belongs to another user');
    expect(existsSync(ran)).toBe(false);
  });
});

describe('a folder in which a push was killed', () => {
  const locked = async (name: string, lock: string) => {
    const remote = await lab.bare(name);
    await push(path(remote), { wanted: at({ [main]: a }), main });
    writeFileSync(join(remote, lock), '');
    const before = new Date(Date.now() - 20_000);
    utimesSync(join(remote, lock), before, before);
    return remote;
  };

  test.each(['HEAD.lock', 'refs/heads/main.lock'])('is pushed to: %s is nobody’s', async (lock) => {
    const remote = await locked(`left-${lock.length}.git`, lock);
    const done = await push(path(remote), { wanted: at({ [main]: b }), last: at({ [main]: a }), main });
    expect(done).toMatchObject({ ok: true, error: undefined });
    expect(await lab.git(remote, ['rev-parse', main])).toBe(b);
    expect(existsSync(join(remote, lock))).toBe(false);
  });

  test('is left as it is while a git works there', async () => {
    const remote = await locked('at-work.git', 'refs/heads/main.lock');
    const working = spawn('git', ['-C', remote, 'cat-file', '--batch'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    try {
      const request = { wanted: at({ [main]: b }), last: at({ [main]: a }), main };
      await once(working, 'spawn');
      expect((await push(path(remote), request)).error?.message).toContain('main.lock');
      expect(existsSync(join(remote, 'refs/heads/main.lock'))).toBe(true);
      working.stdin.end();
      await once(working, 'exit');
      expect(await push(path(remote), request)).toMatchObject({ ok: true });
    } finally {
      working.kill();
    }
  });
});

describe('how much is done', () => {
  test('a remote that has what is wanted: one ls-remote and nothing else', async () => {
    const remote = await lab.bare('equal.git');
    const wanted = at({ [main]: c });
    await push(path(remote), { wanted });
    const ran: string[] = [];
    const forge = {
      ...lab.forge,
      run: (command: Command) => {
        ran.push(command.argv.join(' '));
        return lab.forge.run(command);
      },
    };
    const result = await withRemote(forge, path(remote), (git) =>
      pushRefs(git, { folder: cache, wanted, last: at({}), policy: 'refuse' }),
    );
    expect(result).toMatchObject({ ok: true, last: wanted, bytes: 0 });
    expect(ran).toEqual([`git ls-remote --refs --heads --tags -- ${remote}`]);
  });

  test('3,000 refs with long names at once', async () => {
    const remote = await lab.bare('many.git');
    const name = 'x'.repeat(150);
    const wanted = new Map([
      [main, c],
      ...Array.from({ length: 3_000 }, (_, index) => [`refs/heads/${name}-${index}`, b] as const),
    ]);
    const result = await push(path(remote), { wanted, main });
    expect(result.error).toBeUndefined();
    expect(result.last).toEqual(wanted);
    expect(Object.keys(await lab.refs(remote))).toHaveLength(3_001);
    measured(`3,001 refs pushed in ${Math.round(result.duration)} ms`);
    const gone = await push(path(remote), { wanted: at({ [main]: c }), last: result.last });
    expect(await lab.refs(remote)).toEqual({ [main]: c });
    measured(`3,000 refs deleted in ${Math.round(gone.duration)} ms`);
  });
});

import { chmodSync, chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDeployKey } from '../../src/mirror/remote/deploy-key.ts';
import { RemoteError } from '../../src/mirror/remote/error.ts';
import { scanHostKeys } from '../../src/mirror/remote/host-keys.ts';
import { planPush, type PushRequest } from '../../src/mirror/remote/plan-push.ts';
import { probeRemote } from '../../src/mirror/remote/probe.ts';
import { applyPush, pushRefs, type PushResult } from '../../src/mirror/remote/push.ts';
import { listRemote, type Remote, withRemote } from '../../src/mirror/remote/remote.ts';
import { secret } from '../../src/secrets/secret.ts';
import { measured } from './processes.ts';
import { type GitLab, startGitLab } from './support/git-lab.ts';
import { startGitHttp, startSilent, startSshd } from './support/git-servers.ts';

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
function hook(repository: string, name: 'pre-receive' | 'update', script: string): void {
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
    expect(result.error?.message).toContain('refs/heads/main (2 foreign commits)');
    expect(result.diverged).toMatchObject([
      { ref: main, there: theirs, last: b, wanted: c, more: false, unread: undefined },
    ]);
    expect(result.diverged[0]?.commits).toMatchObject([
      { hash: theirs, subject: 'theirs 2', author: 'Eve Else', mail: 'ann@example.org' },
      { subject: 'theirs 1', date: expect.stringMatching(/^2020-09-13T.*\+00:00$/) as string },
    ]);
    expect(result.last.get(main)).toBe(b);
    expect(await lab.refs(remote)).toEqual({ [main]: theirs, 'refs/heads/dev': b });
    expect(await lab.git(cache, ['count-objects', '-v'])).toBe(objects);
    expect(readdirSync(lab.forge.paths.tmp)).toEqual([]);
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
    await lab.git(remote, ['tag', '-a', '-m', 'an annotated one', 'v1', a], {
      env: { GIT_COMMITTER_DATE: '0 +0000' },
    });
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

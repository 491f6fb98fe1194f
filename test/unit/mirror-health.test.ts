import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mirrorFindings, type MirrorSeen, summaryOfMirrors } from '../../src/health/mirrors.ts';
import { requestFindings } from '../../src/health/sync-request.ts';
import { overdueFindings, type UpstreamSeen } from '../../src/health/upstreams.ts';
import { requestSync, syncRequestedAt, takeSyncRequest } from '../../src/mirror/request.ts';

const hour = 3_600_000;
const now = 500 * 24 * hour;

const seen = (
  repository: string,
  mirror: Partial<MirrorSeen['mirror']> = {},
  differsSince: number | null = null,
): MirrorSeen => ({
  repository,
  mirror: {
    name: 'github',
    url: `https://github.com/me/${repository}.git`,
    error: null,
    errorKind: null,
    failingSince: null,
    triedAt: now,
    okAt: now,
    nextTryAt: null,
    comparedAt: now,
    verifyError: null,
    ...mirror,
  },
  differsSince,
  parts: [],
  expiresAt: null,
  behind: null,
});
const down = (since: number) => ({
  error: 'nobody answers at github.com.',
  errorKind: 'unreachable',
  failingSince: since,
});

test('what is mirrored, or will be within minutes, is no finding', () => {
  const all = [seen('one'), seen('two', {}, now - hour)];
  expect(mirrorFindings(all, now)).toEqual([]);
  expect(summaryOfMirrors(all, now)).toEqual({ mirrors: 2, current: 1, failing: 0, failures: [] });
});

test('one that fails says when it succeeded, when it is tried next and how far it is behind', () => {
  const times = { okAt: now - 3 * hour, nextTryAt: now + hour / 4 };
  const one = { ...seen('demo', { ...down(now - 2 * hour), ...times }), behind: 12 };
  const [found] = mirrorFindings([one], now);
  const stands = 'Last success 3h ago, 12 check-ins behind; it is tried again in 15m.';
  expect(found?.next).toBe(`${stands} At once: fossilrepo sync demo`);
  // What changes from minute to minute is no news.
  expect(found?.what).not.toContain('12');
  const wiki = { ...seen('wiki'), parts: [{ part: 'wiki' as const, ...down(now), ...times }] };
  const summary = summaryOfMirrors([one, wiki, seen('well')], now);
  expect(summary).toMatchObject({ mirrors: 3, current: 1, failing: 2 });
  const failure = {
    ...{ mirror: 'github', error: 'nobody answers at github.com.' },
    failingSince: new Date(now - 2 * hour).toISOString(),
    lastSuccess: new Date(now - 3 * hour).toISOString(),
    nextTry: new Date(now + hour / 4).toISOString(),
  };
  expect(summary.failures).toEqual([
    { ...failure, repository: 'demo', part: 'code', behind: 12 },
    { ...failure, repository: 'wiki', part: 'wiki', failingSince: new Date(now).toISOString(), behind: null },
  ]);
  const never = seen('demo', { ...down(now), okAt: null, nextTryAt: now - 1 });
  expect(mirrorFindings([never], now)[0]?.next).toContain('Last success never; it is tried again now.');
});

test('a mirror that fails is yellow, and red after a day, in plain words with what to do', () => {
  const [yellow] = mirrorFindings([seen('demo', down(now - 24 * hour + 1))], now);
  expect(yellow).toMatchObject({
    level: 'yellow',
    about: 'demo',
    what: 'Not mirrored: demo to github: nobody answers at github.com.',
  });
  expect(yellow?.next).toContain('fossilrepo sync demo');
  const [red] = mirrorFindings([seen('demo', down(now - 24 * hour))], now);
  expect(red?.level).toBe('red');
});

test('a refused credential says that a hand is needed', () => {
  const refused = { ...down(now), errorKind: 'credential', error: 'github.com refused the credential.' };
  const [found] = mirrorFindings([seen('demo', refused)], now);
  expect(found?.next).toContain('not tried again by itself');
  expect(found?.next).toContain('fossilrepo mirror configure demo github');
  expect(found?.next).toMatch(/^Last success \S+ ago\. /);
  expect(summaryOfMirrors([seen('demo', refused)], now).failures[0]?.nextTry).toBe(null);
});

test('a host that is down is one finding, however many mirrors it has; the oldest failure counts', () => {
  const many = Array.from({ length: 7 }, (_, n) => seen(`r${n}`, down(now - n * 6 * hour)));
  const found = mirrorFindings([...many, seen('other', { ...down(now), url: 'git@example.org:x.git' })], now);
  expect(found).toHaveLength(2);
  expect(found[0]).toMatchObject({ level: 'red', about: 'mirrors' });
  expect(found[0]?.what).toContain('7 mirrors (r0 to github, r1 to github');
  expect(found[0]?.what).toContain('and 2 more');
  const behind = many.map((one, n) => ({ ...one, behind: n < 3 ? n : null }));
  expect(mirrorFindings(behind, now)[0]?.next).toContain(', up to 2 check-ins behind');
});

test('what a verification found wrong is red', () => {
  const [found] = mirrorFindings([seen('demo', { verifyError: 'refs/heads/main is missing' })], now);
  expect(found).toMatchObject({ level: 'red', about: 'demo' });
  expect(found?.what).toContain('refs/heads/main is missing');
});

test('mirrors that nobody tries are noticed', () => {
  expect(mirrorFindings([seen('demo', {}, now - 2 * hour)], now)).toEqual([]);
  const [found] = mirrorFindings([seen('demo', {}, now - 4 * hour)], now);
  expect(found).toMatchObject({ level: 'yellow', what: 'Nobody brings mirrors up to date: demo to github' });
});

test('a request that nobody takes is noticed, however often it is repeated', () => {
  const folder = mkdtempSync(join(tmpdir(), 'request-'));
  const paths = { syncRequests: join(folder, 'sync') };
  expect(syncRequestedAt(paths)).toBeUndefined();
  requestSync(paths);
  const at = Math.floor(Date.now() / 1_000) - 1_000;
  utimesSync(join(paths.syncRequests, 'request'), at, at);
  requestSync(paths);
  expect(syncRequestedAt(paths)).toBe(at * 1_000);
  takeSyncRequest(paths);
  expect(syncRequestedAt(paths)).toBeUndefined();
  rmSync(folder, { recursive: true });

  expect(requestFindings(undefined, now)).toEqual([]);
  expect(requestFindings(now - hour / 4 + 1, now)).toEqual([]);
  // A clock that was set back.
  expect(requestFindings(now + hour, now)).toEqual([]);
  const [found] = requestFindings(now - hour / 4, now);
  expect(found).toMatchObject({ level: 'yellow', about: 'mirrors' });
  expect(found?.next).toContain('fossilrepo logs sync');
});

test('upstreams that nobody looks at are noticed', () => {
  const times = {
    error: null,
    errorKind: null,
    failingSince: null,
    nextTryAt: null,
    everyMs: hour,
    createdAt: now - 9 * hour,
  };
  const followed = (name: string, triedAt: number | null, changes: Partial<UpstreamSeen> = {}) => ({
    ...{ repository: name, url: 'https://example.org/x', triedAt, ...times },
    ...changes,
  });
  const failed = { error: 'nobody answers', failingSince: now, nextTryAt: now };
  const well = [
    followed('one', now - 4 * hour),
    followed('new', null, { createdAt: now }),
    followed('failed', 0, failed),
  ];
  expect(overdueFindings(well, now)).toEqual([]);
  const late = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => followed(name, now - 5 * hour));
  const [found] = overdueFindings([...well, followed('never', null), ...late], now);
  expect(found).toMatchObject({ level: 'yellow', about: 'upstreams' });
  expect(found?.what).toContain('never, a, b, c, d and 2 more');
});

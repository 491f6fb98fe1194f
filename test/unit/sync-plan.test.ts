import { describe, expect, test } from 'vitest';
import {
  dueMirrors,
  lookedAt,
  type MirrorTimes,
  nextTry,
  type PartTimes,
  type Seen,
  unfinishedMirrors,
} from '../../src/plan/sync.ts';

const minute = 60_000;
const now = 1_000 * 24 * 60 * minute;
const mirror = (changes: Partial<MirrorTimes> = {}): MirrorTimes => ({
  id: 'm',
  repository: 'r',
  everyMs: 15 * minute,
  stamp: 'a',
  triedAt: now - minute,
  okAt: now - minute,
  comparedAt: now - minute,
  errorKind: null,
  nextTryAt: null,
  ...changes,
});
const steady = (stamp: string): Seen => ({ stamp, changedAt: 0, since: 0, restlessSince: 0 });
const why = (changes: Partial<MirrorTimes>, seen: Seen, at = now) =>
  dueMirrors([mirror(changes)], new Map([['r', seen]]), at).map((one) => one.why);

describe('a mirror is due', () => {
  test('not while its repository is as it was at the last success', () => {
    expect(why({}, steady('a'))).toEqual([]);
  });

  test('when it is new', () => {
    expect(why({ okAt: null, triedAt: null, comparedAt: null, stamp: null }, steady('a'))).toEqual(['new']);
  });

  test('five seconds after the last write of a push', () => {
    const seen = { stamp: 'b', changedAt: now - 4_999, since: now - 4_999, restlessSince: now - 4_999 };
    expect(why({}, seen)).toEqual([]);
    expect(why({}, seen, now + 1)).toEqual(['push']);
  });

  test('half a minute after the first write of somebody who never stops', () => {
    let seen = lookedAt(undefined, { stamp: 'a', changedAt: now }, now);
    let first: number | undefined;
    for (let at = now; at < now + 90_000 && first === undefined; at += 1_000) {
      seen = lookedAt(seen, { stamp: `write ${at}`, changedAt: at }, at);
      if (why({}, seen, at).length > 0) first = at - now;
    }
    expect(first).toBe(30_000);
  });

  test('on its schedule while something differs, settled or not', () => {
    const restless = { stamp: 'b', changedAt: now, since: now, restlessSince: now };
    expect(why({ triedAt: now - 15 * minute }, restless)).toEqual(['schedule']);
    expect(why({ triedAt: now - 14 * minute }, restless)).toEqual([]);
    expect(why({ triedAt: now - 14 * minute, everyMs: 5 * minute }, restless)).toEqual(['schedule']);
    expect(why({ triedAt: now - 15 * minute }, steady('a'))).toEqual([]);
  });

  test('once a day to be compared with the remote, though nothing differs here', () => {
    expect(why({ comparedAt: now - 24 * 60 * minute }, steady('a'))).toEqual(['comparison']);
    expect(why({ comparedAt: now - 23 * 60 * minute }, steady('a'))).toEqual([]);
    // As `mirror configure` leaves it: another credential shows only at the remote.
    expect(why({ comparedAt: null, stamp: null }, steady('a'))).toEqual(['comparison']);
  });

  test('again after a minute when something of a check-in had not been received', () => {
    expect(why({ nextTryAt: now + 1 }, steady('a'))).toEqual([]);
    expect(why({ nextTryAt: now }, steady('a'))).toEqual(['schedule']);
  });

  test('not while its repository has no file', () => {
    expect(dueMirrors([mirror({ okAt: null })], new Map(), now)).toEqual([]);
  });

  test('whatever its neighbour does', () => {
    const two = [
      mirror({ id: 'down', errorKind: 'unreachable', nextTryAt: now + minute }),
      mirror({ id: 'up' }),
    ];
    const due = dueMirrors(two, new Map([['r', steady('b')]]), now);
    expect(due.map((one) => one.mirror.id)).toEqual(['up']);
  });
});

describe('a mirror that failed', () => {
  test('is tried again after 1, 5, 15 and 60 minutes, then each hour', () => {
    const delays = [1, 2, 3, 4, 5, 20].map((failures) => Number(nextTry('unreachable', failures, now)) - now);
    expect(delays.map((delay) => delay / minute)).toEqual([1, 5, 15, 60, 60, 60]);
  });

  test.each(['unreachable', 'timeout', 'missing', 'export'])(
    'for %s waits for that time, whatever is pushed meanwhile',
    (errorKind) => {
      const failed = { errorKind, nextTryAt: now + 1 };
      expect(why(failed, { ...steady('b'), changedAt: now - 1 })).toEqual([]);
      expect(why(failed, steady('b'), now + 1)).toEqual(['retry']);
    },
  );

  test.each(['diverged', 'rejected'])('with some refs only, %s, takes what is pushed since', (errorKind) => {
    const failed = { errorKind, nextTryAt: now + 50 * minute, triedAt: now - 10 * minute };
    const written = { ...steady('b'), changedAt: now - 9 * minute };
    expect(why(failed, written)).toEqual(['push']);
    expect(why({ ...failed, triedAt: now - 8 * minute }, written)).toEqual([]);
    const writing = { stamp: 'b', changedAt: now - 4_000, since: now - 4_000, restlessSince: now - 4_000 };
    expect(why(failed, writing)).toEqual([]);
    expect(why(failed, writing, now + 1_000)).toEqual(['push']);
    // Written by a clock that was set back since: it would be new after each try.
    expect(why(failed, { ...written, changedAt: now + minute })).toEqual([]);
    // What was refused is tried again when it is time.
    expect(why(failed, steady('b'), now + 50 * minute)).toEqual(['retry']);
  });

  test('is not forgotten by a clock that was set back', () => {
    expect(why({ errorKind: 'timeout', nextTryAt: now + 61 * minute }, steady('b'))).toEqual(['retry']);
  });

  test.each(['credential', 'host-key', 'adding'])('for its %s is not tried by itself', (errorKind) => {
    expect(nextTry(errorKind, 1, now)).toBeNull();
    const failed = { errorKind, nextTryAt: null, okAt: null };
    expect(why(failed, steady('b'), now + 100 * 24 * 60 * minute)).toEqual([]);
    const asked = unfinishedMirrors([mirror(failed)], new Map([['r', steady('b')]]), now);
    expect(asked.map((one) => one.why)).toEqual(['asked']);
  });
});

describe('tickets and wiki of a mirror whose code fails', () => {
  const part = (changes: Partial<PartTimes> = {}): PartTimes => ({
    ...{ errorKind: null, nextTryAt: null, stamp: 'a', ownCredential: true },
    ...changes,
  });
  const due = (failed: Partial<MirrorTimes>, one: PartTimes, seen = steady('b')) =>
    dueMirrors(
      [mirror({ errorKind: 'credential', ...failed })],
      new Map([['r', seen]]),
      now,
      new Map([['m', [one]]]),
    ).map((job) => [job.why, job.partsOnly === true]);

  test('come by themselves when there is something new, or it is time', () => {
    expect(due({}, part())).toEqual([['push', true]]);
    expect(due({}, part(), steady('a'))).toEqual([]);
    const writing = { stamp: 'b', changedAt: now, since: now, restlessSince: now };
    expect(due({}, part(), writing)).toEqual([]);
    expect(due({}, part({ nextTryAt: now }), steady('a'))).toEqual([['schedule', true]]);
    expect(due({}, part({ nextTryAt: now + 1 }))).toEqual([]);
    expect(due({}, part({ errorKind: 'unreachable', nextTryAt: now }))).toEqual([['retry', true]]);
    expect(due({}, part({ errorKind: 'credential' }))).toEqual([]);
  });

  test('come with the code when that is due, or well', () => {
    const diverged = { errorKind: 'diverged', nextTryAt: now + minute, triedAt: now - minute };
    expect(due(diverged, part())).toEqual([['push', true]]);
    expect(due({ ...diverged, nextTryAt: now }, part())).toEqual([['retry', false]]);
    expect(due({ errorKind: null, stamp: 'b' }, part())).toEqual([]);
  });

  test('wait where they need what was refused, and where the mirror was never tried', () => {
    for (const errorKind of ['credential', 'host-key'])
      expect(due({ errorKind }, part({ ownCredential: false }))).toEqual([]);
    expect(due({ errorKind: 'export', nextTryAt: now + 1 }, part({ ownCredential: false }))).toEqual([
      ['push', true],
    ]);
    expect(due({ errorKind: 'adding', triedAt: null }, part())).toEqual([]);
  });
});

test('who names no repository means what differs, what failed, and what was not compared for a day', () => {
  const mirrors = [
    mirror({ id: 'same' }),
    mirror({ id: 'differs', repository: 'pushed' }),
    mirror({ id: 'failed', errorKind: 'timeout', nextTryAt: now + minute }),
    mirror({ id: 'old', comparedAt: null }),
  ];
  const seen = new Map([
    ['r', steady('a')],
    ['pushed', { stamp: 'b', changedAt: now, since: now, restlessSince: now }],
  ]);
  const found = unfinishedMirrors(mirrors, seen, now).map((one) => [one.mirror.id, one.why]);
  expect(found).toEqual([
    ['differs', 'push'],
    ['failed', 'asked'],
    ['old', 'comparison'],
  ]);
});

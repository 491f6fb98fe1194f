import { describe, expect, test } from 'vitest';
import type { Replicated } from '../../src/backup/control.ts';
import { coverage, unexpected } from '../../src/backup/coverage.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const database = { id: '1', name: 'one', file: '/r/one.fossil', since: 0 };
const seen = (more: Partial<Replicated>): Replicated => ({
  path: database.file,
  status: 'replicating',
  lastSyncAt: new Date(now - 1_240),
  error: undefined,
  ...more,
});
const judge = (listed: Replicated[] | undefined, more = {}) =>
  coverage({ expected: [database], listed, now, maxAgeMs: 10_000, ...more })[0];

describe('one database', () => {
  test('that is in the replica', () => {
    expect(judge([seen({})])).toEqual({ id: '1', name: 'one', ok: true, ageSeconds: 1.2, why: '' });
  });

  test('whose replica is too old', () => {
    expect(judge([seen({ lastSyncAt: new Date(now - 11_000) })])).toMatchObject({
      ok: false,
      ageSeconds: 11,
    });
  });

  test('that Litestream does not have', () => {
    expect(judge([])).toMatchObject({ ok: false, ageSeconds: null, why: 'Litestream does not replicate it' });
  });

  test('that Litestream does not have yet, since whose the replica is has to be asked after a start', () => {
    const soon = { asking: true, startedAt: now - 20_000 };
    expect(judge([], soon)).toMatchObject({ ok: true, ageSeconds: null });
    expect(judge([], { ...soon, startedAt: now - 61_000 })).toMatchObject({ ok: false });
    expect(judge(undefined, soon)).toMatchObject({ ok: false, why: 'Litestream does not answer' });
  });

  test('while Litestream does not answer', () => {
    expect(judge(undefined)).toMatchObject({
      ok: false,
      ageSeconds: null,
      why: 'Litestream does not answer',
    });
  });

  test('that was stopped', () => {
    expect(judge([seen({ status: 'stopped' })])).toMatchObject({ ok: false });
  });

  test('that can not be read, though the age goes on', () => {
    const error = 'checkpoint: _litestream_lock: no such table: _litestream_lock';
    expect(judge([seen({ error })])).toMatchObject({
      ok: false,
      ageSeconds: 1.2,
      why: `Litestream can't replicate it: ${error}`,
    });
  });

  test('whose first upload is under way', () => {
    const never = [seen({ lastSyncAt: undefined })];
    expect(judge(never)).toMatchObject({ ok: false });
    expect(judge(never, { startedAt: now - 59_000 })).toMatchObject({ ok: true, ageSeconds: null });
    expect(judge(never, { startedAt: now - 61_000 })).toMatchObject({ ok: false, ageSeconds: null });
    expect(judge(never, { expected: [{ ...database, since: now - 5_000 }] })).toMatchObject({ ok: true });
  });

  test('whose clock is ahead of ours is not of negative age', () => {
    expect(judge([seen({ lastSyncAt: new Date(now + 500) })])).toMatchObject({ ok: true, ageSeconds: 0 });
  });

  test('that was in the replica at a time that is yet to come: the clock was set back, and nothing is known', () => {
    expect(judge([seen({ lastSyncAt: new Date(now + 3_600_000) })])).toMatchObject({
      ok: false,
      ageSeconds: null,
      why: 'the clock was set back since it was last in the replica',
    });
  });
});

test('what is replicated though nobody asked for it', () => {
  expect(unexpected([database], [seen({}), seen({ path: '/r/gone.fossil' })])).toEqual(['/r/gone.fossil']);
});

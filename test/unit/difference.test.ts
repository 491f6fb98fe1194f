import { describe, expect, test } from 'vitest';
import { describeDifference } from '../../src/repos/contents/describe-difference.ts';
import { describeNewer } from '../../src/repos/contents/describe-newer.ts';
import type { Change, Difference } from '../../src/repos/contents/difference.ts';
import { type Item, itemOf, printable } from '../../src/repos/contents/item.ts';
import { allKinds, type Kind, listing } from '../../src/repos/contents/kinds.ts';
import { isTransient } from '../../src/repos/contents/transient.ts';

const hash = (digit: string) => digit.repeat(64);
const change = (lost: Item[] = [], gained: Item[] = [], changed: Item[] = []): Change => {
  const [one, two, three] = [lost, gained, changed].map((items) => ({ count: items.length, items }));
  if (!one || !two || !three) throw new Error('three lists');
  return { lost: one, gained: two, changed: three };
};
function difference(
  kinds: Partial<Record<Kind, Change>>,
  artifacts: Partial<Difference['artifacts']> = {},
): Difference {
  const all = Object.fromEntries(allKinds.map((kind) => [kind, kinds[kind] ?? change()]));
  return {
    same: false,
    kinds: all as Difference['kinds'],
    artifacts: { lost: 0, gained: 0, lostHashes: [], lostPrivate: 0, gainedShunned: [], ...artifacts },
  };
}

describe('a difference in words', () => {
  test('is nothing where nothing differs', () => {
    expect(describeDifference(difference({}))).toBe('nothing differs');
  });

  test('has a line for each kind that differs, in one order', () => {
    const checkin = { id: hash('1'), title: 'Fix login', who: 'ann', at: '2026-11-21T13:02:11Z' };
    const text = describeDifference(
      difference(
        {
          users: change([], [{ id: 'leaver' }], [{ id: 'dev', change: 'vi → v' }]),
          checkins: change([checkin, { id: hash('2') }], [{ id: hash('3'), title: 'Old', who: 'bob' }]),
          tickets: change(
            [],
            [],
            [{ id: 'a'.repeat(40), title: 'Crash', at: '2026-01-01T00:00:00Z', change: '3 → 1 change' }],
          ),
          wiki: change([{ id: 'Home page' }, { id: 'Plain' }]),
        },
        { lost: 12, gained: 3 },
      ),
    );
    expect(text.split('\n')).toEqual([
      'check-ins   2 lost: 1111111111 "Fix login" (ann, 2026-11-21 13:02 UTC), 2222222222; 1 gained: 3333333333 "Old" (bob)',
      'ticket      1 changed: aaaaaaaaaa "Crash" (3 → 1 change)',
      'wiki pages  2 lost: "Home page", Plain',
      'users       1 gained: leaver; 1 changed: dev (vi → v)',
      'artifacts   12 lost, 3 gained',
    ]);
  });

  test('names five and counts the others', () => {
    const branches = (count: number) => Array.from({ length: count }, (_, index) => ({ id: `b${index}` }));
    const lines = (count: number) => describeDifference(difference({ branches: change(branches(count)) }));
    expect(lines(5)).toBe('branches  5 lost: b0, b1, b2, b3, b4');
    expect(lines(17)).toBe('branches  17 lost: b0, b1, b2, b3, b4 and 12 more');
    expect(lines(1)).toBe('branch  1 lost: b0');
  });

  test('says what of the artifacts is private, and what comes back although it is shunned', () => {
    const artifacts = { lost: 1, lostPrivate: 1, gained: 2, gainedShunned: [hash('4')] };
    expect(describeDifference(difference({}, artifacts))).toBe(
      'artifacts  1 lost (1 private), 2 gained, 1 of them shunned',
    );
    expect(describeDifference(difference({}, { lost: 1 }))).toBe('artifact  1 lost');
  });
});

describe('what came since, in words', () => {
  const at = '2026-11-21T13:02:11Z';
  const receipt = { rcvid: 7, artifacts: 1, unversioned: 0, at };

  test('is nothing where nothing came', () => {
    expect(describeNewer({ checkins: 0, other: 0, artifacts: 0, items: [], receipts: [] })).toBe(
      'nothing came since',
    );
  });

  test('says who, how much and what, and counts the rest', () => {
    const item = { kind: 'check-in', id: hash('1'), title: 'Fix', who: 'ann', at } as const;
    const one = {
      checkins: 1,
      other: 0,
      artifacts: 3,
      items: [item],
      receipts: [{ ...receipt, who: 'ann' }],
    };
    expect(describeNewer(one)).toBe(
      '1 check-in, received 2026-11-21 13:02 UTC from ann\n  check-in 1111111111 "Fix" (ann, 2026-11-21 13:02 UTC)',
    );
    const receipts = [
      { ...receipt, who: 'ann', at: '2026-11-21T14:00:00Z' },
      { ...receipt, who: 'bob' },
      receipt,
      { ...receipt, who: 'ann' },
    ];
    const many = {
      checkins: 2,
      other: 5,
      artifacts: 9,
      items: Array.from({ length: 7 }, () => item),
      receipts,
    };
    expect(describeNewer(many).split('\n')).toEqual([
      '2 check-ins and 5 other changes, received 2026-11-21 13:02 to 2026-11-21 14:00 UTC from ann, bob',
      ...Array.from({ length: 5 }, () => '  check-in 1111111111 "Fix" (ann, 2026-11-21 13:02 UTC)'),
      '  and 2 more',
    ]);
  });

  test('says how many artifacts where none has a name', () => {
    const newer = { checkins: 0, other: 0, artifacts: 2, items: [], receipts: [receipt] };
    expect(describeNewer(newer)).toBe('2 artifacts, received 2026-11-21 13:02 UTC');
  });
});

describe('what is shown', () => {
  test.each([
    ['a\u001b[2Jb', 'a [2Jb'],
    ['one\r\ntwo\ttabs', 'one two tabs'],
    ['\u202eevil\u2066\u200b\u2028', 'evil'],
    ['größe 名前 😀', 'größe 名前 😀'],
    ['\ud800x', 'x'],
    ['', ''],
  ])('%j is %j', (given, shown) => {
    expect(printable(given, 50)).toBe(shown);
  });

  test('is cut at whole characters', () => {
    expect(printable('😀'.repeat(30), 10)).toBe(`${'😀'.repeat(9)}…`);
    expect(printable('x'.repeat(10), 10)).toBe('x'.repeat(10));
    expect(printable(' '.repeat(500) + 'y', 10)).toBe('');
  });

  test('of a row is the first line, the moment and bytes that are no text', () => {
    const row = { id: Buffer.from([0x61, 0xff]), title: '\n first\nsecond', who: null, at: 2_440_588.5 };
    expect(itemOf(row)).toEqual({ id: 'a\ufffd', title: 'first', at: '1970-01-02T00:00:00Z' });
    for (const at of [null, 'yesterday', 1e300, -1e300]) expect(itemOf({ id: 'x', at })).toEqual({ id: 'x' });
  });
});

test.each([
  ['baseurl:https://x', true],
  ['last-sync-pw', true],
  ['captcha-secret', true],
  ['captcha-secret-1', true],
  ['ci-lock-abc', true],
  ['token-0123', true],
  ['fossilrepo-aside:token-0123', true],
  ['fossilrepo-id', true],
  ['fossilrepo-restore', true],
  ['fossilrepo-aside:header', false],
  ['email-renew-cutoff', true],
  ['email-renew-interval', false],
  ['backoffice-disable', false],
  ['project-name', false],
  ['hash-policy', false],
  ['skin:mine', false],
])('%s is a note of Fossil’s: %s', (name, transient) => {
  expect(isTransient(name)).toBe(transient);
});

test('a kind whose table is missing is not asked for, nor a column that the project took away', () => {
  expect(listing({ has: (table) => table !== 'unversioned' }, 'unversioned')).toBeUndefined();
  expect(listing({ has: () => true }, 'tickets')).toContain('FROM ticket WHERE');
  expect(listing({ has: (table) => table !== 'ticket' }, 'tickets')).not.toContain('FROM ticket WHERE');
});

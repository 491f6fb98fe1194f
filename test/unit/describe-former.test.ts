import { expect, test } from 'vitest';
import type { FormerRepository, FormerServer } from '../../src/backup/former.ts';
import { describeFormer } from '../../src/plan/describe-former.ts';
import { showInstant } from '../../src/system/instant.ts';

const owner = {
  version: 1 as const,
  instance: 'one',
  machine: 'm',
  hostname: 'forge.example.com',
  generation: 0,
  heartbeat: '2026-11-21T12:00:00.000Z',
};
const repository = (name: string, more: Partial<FormerRepository> = {}): FormerRepository => ({
  id: name,
  name,
  state: 'active',
  bytes: 60_000_000,
  toRead: 20_000_000,
  takenAt: null,
  error: null,
  ...more,
});
const from = new Date('2026-10-22T12:00:00Z');
const to = new Date('2026-11-21T12:00:00Z');
const former: FormerServer = {
  instance: 'one',
  secrets: undefined,
  window: { from, to },
  repositories: [
    repository('demo'),
    repository('gone', { state: 'trashed' }),
    repository('damaged', { bytes: 0, toRead: 0, error: 'an object is missing.' }),
  ],
  later: [],
  marked: true,
};
const described = (at: Date | null, more: Partial<FormerServer> = {}) =>
  describeFormer({ ...former, ...more }, owner, at, 's3://replica/one').split('\n');

test('a former server is shown with all that one decides by', () => {
  expect(described(null)).toEqual([
    `server        forge.example.com, instance one, last heard of ${showInstant(to)}`,
    'to            the newest state of everything',
    `window        ${showInstant(from)} to ${showInstant(to)}`,
    'repositories  2, 1 of them in the trash: 120 MB, 40 MB to read',
    'replica       s3://replica/one: all that is in it stays, and it goes on here; forge.example.com writes there no more',
    'secrets       none: everybody gets a new access token, and certificates are made anew. Those in the replica are deleted as soon as there are new ones, so that no former key opens them any more',
    'takes about   5s, longer where the line to the storage is slow',
    "! damaged can't be brought back: an object is missing.",
  ]);
});

test('an instant is shown with its zone', () => {
  expect(described(from)).toContain(`to            ${showInstant(from)}`);
});

test('a replica that does not say how far its histories went is told as one', () => {
  expect(described(null, { marked: false }).join('\n')).toContain(
    'high-water.json is missing from the replica',
  );
});

test('what was made after the instant is named: it does not come back', () => {
  const later = [
    { id: '1', name: 'late', state: 'active' as const },
    { id: '2', name: 'brief', state: 'trashed' as const },
    { id: '3' },
  ];
  expect(described(from, { later })).toContain(
    '! made after that time, and not brought back: 3: late, brief (deleted), 3',
  );
});

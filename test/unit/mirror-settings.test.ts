import { describe, expect, test } from 'vitest';
import { countRefs, movedRefs } from '../../src/mirror/difference.ts';
import { checkMirrorName, nameFrom } from '../../src/mirror/name.ts';
import { settingsOf } from '../../src/mirror/settings.ts';
import { parseSchedule, showSchedule } from '../../src/plan/schedule.ts';

test('a mirror is called after its host', () => {
  const names = ['github.com', 'www.gitlab.com', 'codeberg.org', 'git.example.org', '127.0.0.1', '::1', ''];
  expect(names.map(nameFrom)).toEqual([
    'github',
    'gitlab',
    'codeberg',
    'git.example.org',
    '127.0.0.1',
    'git',
    'folder',
  ]);
  for (const name of ['github', 'a', 'x-2.y']) checkMirrorName(name);
  for (const name of ['', '-a', 'a.', 'A', 'a b', 'a/b', 'x'.repeat(65)])
    expect(() => checkMirrorName(name), name).toThrow("can't be called");
});

describe('settings', () => {
  test('hold only what was said', () => {
    expect(settingsOf({})).toEqual({});
    expect(settingsOf({ main: 'master', schedule: '1h', user: 'me', onDivergence: 'keep' })).toEqual({
      main: 'master',
      everyMs: 3_600_000,
      user: 'me',
      onDivergence: 'keep',
    });
  });

  test('of branches: patterns with commas; a star, or none, is all of them', () => {
    expect(settingsOf({ branches: ' trunk , release-*,' })).toEqual({ branches: 'trunk,release-*' });
    for (const branches of ['*', '', 'trunk,*']) expect(settingsOf({ branches })).toEqual({ branches: null });
  });

  test.each(['', '-x', 'a..b', 'a b', 'x.lock', 'a//b', 'a/', 'a~1', 'a:b', '@{x'])(
    'take no main branch %j',
    (main) => {
      expect(() => settingsOf({ main })).toThrow("can't call a branch");
    },
  );

  test('a schedule is minutes to days', () => {
    expect(['1m', '15m', '2h', '7d'].map(parseSchedule).map(showSchedule)).toEqual(['1m', '15m', '2h', '7d']);
    for (const text of ['0m', '30s', '8d', '15', 'daily', ''])
      expect(() => parseSchedule(text)).toThrow('no schedule');
  });
});

test('what moves is what differs, with what is gone', () => {
  const last = [
    { ref: 'refs/heads/main', git: 'a' },
    { ref: 'refs/heads/old', git: 'b' },
    { ref: 'refs/tags/v1', git: 'c' },
  ];
  const wanted = [
    { ref: 'refs/heads/main', git: 'd' },
    { ref: 'refs/tags/v1', git: 'c' },
    { ref: 'refs/tags/v2', git: 'd' },
  ];
  expect(movedRefs(wanted, last)).toEqual([
    { ref: 'refs/heads/main', from: 'a', to: 'd' },
    { ref: 'refs/tags/v2', from: null, to: 'd' },
    { ref: 'refs/heads/old', from: 'b', to: null },
  ]);
  expect(movedRefs(last, last)).toEqual([]);
  expect(countRefs(wanted)).toBe('1 branch, 2 tags');
  expect(countRefs([])).toBe('0 branches');
});

import { expect, test } from 'vitest';
import type { Leaf, RefFacts } from '../../src/mirror/export/facts.ts';
import { unmatched, wantedRefs } from '../../src/mirror/export/refs.ts';

const leaf = (hash: string, closed = false): Leaf => ({ hash, closed });
const branch = (name: string, ...leaves: string[]): RefFacts['branches'][number] => {
  const [first = `tip of ${name}`, ...rest] = leaves;
  return { name, leaves: [leaf(first), ...rest.map((hash) => leaf(hash))] };
};
const facts = (
  branches: RefFacts['branches'],
  tags: RefFacts['tags'] = [],
  parents: RefFacts['parents'] = new Map(),
): RefFacts => ({ main: 'trunk', branches, tags, parents, waiting: new Set() });
const all = { main: 'main', branches: undefined };
const refsOf = (given: RefFacts, naming: Parameters<typeof wantedRefs>[1] = all) =>
  wantedRefs(given, naming).map(({ ref }) => ref);
const ofBranches = (...names: string[]) => refsOf(facts(names.map((name) => branch(name))));

test('trunk becomes main, or what a mirror wants it called; others keep their names', () => {
  expect(
    wantedRefs(
      facts([branch('trunk', 'aaa'), branch('feature/x', 'bbb')], [{ name: 'v1', hash: 'aaa' }]),
      all,
    ),
  ).toEqual([
    { ref: 'refs/heads/main', fossil: 'aaa', kind: 'branch', name: 'trunk', renamed: false },
    { ref: 'refs/heads/feature/x', fossil: 'bbb', kind: 'branch', name: 'feature/x', renamed: false },
    { ref: 'refs/tags/v1', fossil: 'aaa', kind: 'tag', name: 'v1', renamed: false },
  ]);
  expect(refsOf(facts([branch('trunk')]), { main: 'trunk', branches: undefined })).toEqual([
    'refs/heads/trunk',
  ]);
});

test('a branch called main beside trunk does not take its place, however old it is', () => {
  const refs = wantedRefs(facts([branch('main', 'bbb'), branch('trunk', 'aaa')]), all);
  expect(refs.map(({ ref, fossil, renamed }) => [ref, fossil, renamed])).toEqual([
    ['refs/heads/main', 'aaa', false],
    [expect.stringMatching(/^refs\/heads\/main-[0-9a-f]{8}$/), 'bbb', true],
  ]);
});

test.each([
  ['a folder beside a branch', ['foo', 'foo/bar']],
  ['a branch beside a folder', ['foo/bar', 'foo']],
  ['the same but for case', ['Foo', 'foo']],
  ['folders that are the same but for case', ['Foo/a', 'foo/b']],
  ['the same but for how an accent is written', ['caf\u00e9', 'cafe\u0301']],
])('%s: both are there, and the older one keeps its name', (_, [first = '', second = '']) => {
  const refs = ofBranches(first, second);
  expect(refs[0]).toBe(`refs/heads/${first}`);
  expect(refs[1]).toMatch(/-[0-9a-f]{8}$/);
  const blind = refs.map((ref) => ref.normalize('NFC').toLowerCase());
  expect(new Set(blind).size).toBe(2);
  expect(blind.some((ref) => blind.some((other) => other.startsWith(`${ref}/`)))).toBe(false);
});

test.each([
  ['x.lock', /^x\.lock-[0-9a-f]{8}$/],
  ['a..b', /^a-b-[0-9a-f]{8}$/],
  ['with space', /^with-space-[0-9a-f]{8}$/],
  ['what?*[is]~^:\\', /^what---is\]-+[0-9a-f]{8}$/],
  ['a@{1}', /^a-1\}-[0-9a-f]{8}$/],
  ['@', /^@-[0-9a-f]{8}$/],
  ['HEAD', /^HEAD-[0-9a-f]{8}$/],
  ['-x', /^x-[0-9a-f]{8}$/],
  ['.hidden', /^hidden-[0-9a-f]{8}$/],
  ['end.', /^end-[0-9a-f]{8}$/],
  ['a//b/', /^a\/b-[0-9a-f]{8}$/],
  ['line\nend', /^line-end-[0-9a-f]{8}$/],
  ['aux', /^aux-[0-9a-f]{8}$/],
  ['"quoted"', /^quoted-[0-9a-f]{8}$/],
  ['???', /-[0-9a-f]{8}$/],
  ['deadbeef'.repeat(5), /^(?:deadbeef){5}-[0-9a-f]{8}$/],
  ['long'.repeat(100), /^(?:long)+lo-[0-9a-f]{8}$/],
])('%j gets a readable name the same one each time', (name, expected) => {
  const [ref = ''] = ofBranches(name);
  expect(ref.slice('refs/heads/'.length)).toMatch(expected);
  expect(ofBranches('before', name)[1]).toBe(ref);
});

test('what Git can hold keeps its name', () => {
  const names = ['a', 'a.b', 'ä/ö', 'feature/x/y', 'v1.0-rc+2', 'name@host', 'x{y}', "it's", 'a-fork'];
  expect(ofBranches(...names)).toEqual(names.map((name) => `refs/heads/${name}`));
});

test('each line of a forked branch has a ref, and the first keeps the name', () => {
  const forked = facts([
    branch('trunk', 'a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)),
    branch('x y', 'd'.repeat(40), 'e'.repeat(40)),
  ]);
  expect(wantedRefs(forked, all).map(({ ref, kind, name }) => [ref, kind, name])).toEqual([
    ['refs/heads/main', 'branch', 'trunk'],
    [expect.stringMatching(/^refs\/heads\/x-y-[0-9a-f]{8}$/), 'branch', 'x y'],
    ['refs/heads/main-fork-bbbbbbbbbb', 'fork', 'trunk'],
    ['refs/heads/main-fork-cccccccccc', 'fork', 'trunk'],
    [expect.stringMatching(/^refs\/heads\/x-y-[0-9a-f]{8}-fork-eeeeeeeeee$/), 'fork', 'x y'],
  ]);
});

test('only wanted branches, and the tags that they lead to', () => {
  const given = facts(
    [branch('trunk', 't2'), branch('rel/1', 'r1'), branch('rel/2', 'r2', 'r2b'), branch('other', 'o1')],
    [
      { name: 'first', hash: 't1' },
      { name: 'of other', hash: 'o1' },
      { name: 'merged', hash: 'm1' },
    ],
    new Map([
      ['t2', ['t1']],
      ['r1', ['t1', 'm1']],
      ['o1', ['t1']],
    ]),
  );
  expect(refsOf(given, { main: 'main', branches: 'rel/*, nothing' })).toEqual([
    'refs/heads/rel/1',
    'refs/heads/rel/2',
    'refs/heads/rel/2-fork-r2b',
    'refs/tags/first',
    'refs/tags/merged',
  ]);
  expect(refsOf(given, { main: 'main', branches: 'trunk' })).toEqual(['refs/heads/main', 'refs/tags/first']);
  expect(refsOf(given, { main: 'main', branches: 'r.l/1' })).toEqual([]);
});

test.each([
  ['trunk, release-*', []],
  ['main', ['main']],
  ['trnk,release-1,relaese-*', ['trnk', 'relaese-*']],
  ['release', ['release']],
])('of the patterns %j these mean no branch: %j', (patterns, none) => {
  expect(unmatched(facts([branch('trunk'), branch('release-1')]), patterns)).toEqual(none);
});

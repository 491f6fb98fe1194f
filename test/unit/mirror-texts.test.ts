import { expect, test } from 'vitest';
import { identOf } from '../../src/mirror/export/ident.ts';
import { type Manifest, readManifest, treeOf } from '../../src/mirror/export/manifest.ts';

test.each([
  ['drh', '', 'drh <drh@noemail.net>'],
  ['drh', 'Richard <drh@example.com>', 'Richard <drh@example.com>'],
  ['drh', '"Richard H." <drh@example.com> other things', 'Richard H. <drh@example.com>'],
  ['drh', 'drh@example.com', 'drh <drh@example.com>'],
  ['drh', 'Richard in the office', 'drh <drh@noemail.net>'],
  ['p@example.com', '', 'p@example.com <p@example.com>'],
  ['drh', 'Two\nlines <a@b.c>', 'Two lines <a@b.c>'],
  ['drh', 'a>b <<x@y.z', 'ab <drh@noemail.net>'],
  ['a<b', '', 'ab <ab@noemail.net>'],
  ['two words', '', 'two words <two.words@noemail.net>'],
  ['', '', 'unknown <unknown@noemail.net>'],
  ['<>', '<>', 'unknown <unknown@noemail.net>'],
  ['Jörg', 'Jörg <jörg@bücher.example>', 'Jörg <jörg@bücher.example>'],
])('the login %j with the contact %j is %s in Git', (login, info, expected) => {
  const { name, mail } = identOf(login, info);
  expect(`${name} <${mail}>`).toBe(expected);
});

const hash = (digit: string) => digit.repeat(40);

test('a manifest says when, why, from where, and what', () => {
  const text = [
    'C two\\slines\\nand\\sa\\sbackslash\\s\\\\n',
    'D 2026-11-21T14:00:01.750',
    `F a\\sb ${hash('1')}`,
    `F run ${hash('2')} x`,
    `F link ${hash('3')} l`,
    `F new ${hash('4')} w old`,
    `P ${hash('a')} ${hash('b')}`,
    'U drh',
  ].join('\n');
  expect(readManifest(Buffer.from(text))).toEqual({
    at: Date.UTC(2026, 10, 21, 14, 0, 1, 750),
    comment: 'two lines\nand a backslash \\n',
    baseline: undefined,
    parents: [hash('a'), hash('b')],
    files: [
      { name: 'a b', hash: hash('1'), mode: '100644' },
      { name: 'run', hash: hash('2'), mode: '100755' },
      { name: 'link', hash: hash('3'), mode: '120000' },
      { name: 'new', hash: hash('4'), mode: '100644' },
    ],
  });
});

test('a manifest of differences is read with its baseline', () => {
  const base = readManifest(Buffer.from(`F a ${hash('1')}\nF b ${hash('2')}\n`));
  const delta = readManifest(Buffer.from(`B ${hash('f')}\nF a ${hash('3')} x\nF b\nF c ${hash('4')}\n`));
  const read = (asked: string): Manifest => {
    expect(asked).toBe(hash('f'));
    return base;
  };
  expect([...treeOf(delta, read).values()]).toEqual([
    { name: 'a', hash: hash('3'), mode: '100755' },
    { name: 'c', hash: hash('4'), mode: '100644' },
  ]);
});

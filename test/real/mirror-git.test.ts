import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { treeHashes } from '../../src/mirror/compare/tree.ts';
import { refNames } from '../../src/mirror/export/ref-names.ts';

/** Every character below 128 alone, at the beginning, in the middle and at the end, and what Git has rules about. */
const odd = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).flatMap((character) => [
  character,
  `${character}a`,
  `a${character}b`,
  `a${character}`,
]);
const rules = [
  'a..b',
  'a.lock',
  'a.LOCK/b',
  '@',
  '@{',
  'a@{b',
  '/a',
  'a//b',
  'a/',
  'a/.b',
  'HEAD',
  '-',
  'a/-b',
  '\ud800',
  '',
];

test('whatever a branch is called, Git takes the name that it gets', () => {
  const take = refNames();
  for (const name of [...odd, ...rules]) {
    const { name: given } = take(name);
    expect(
      spawnSync('git', ['check-ref-format', '--branch', given]).status,
      JSON.stringify([name, given]),
    ).toBe(0);
  }
});

test('a tree has the hash that Git gives it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tree-'));
  const git = (...args: string[]) =>
    spawnSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).stdout.trim();
  try {
    git('init', '--quiet');
    const names = ['a', 'a.b', 'a-b/x', 'ab/c/d', 'ab/c.d', 'ä ö', 'z'];
    for (const name of names) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), name);
    }
    git('add', '--all');
    git('update-index', '--chmod=+x', 'z');
    const files = names.toReversed().map((name) => ({
      path: Buffer.from(name).toString('latin1'),
      mode: name === 'z' ? '100755' : '100644',
      git: git('hash-object', name),
    }));
    expect(treeHashes(files).at(-1)).toBe(git('write-tree'));
    expect(treeHashes([])).toEqual(['4b825dc642cb6eb9a060e54bf8d69288fbee4904']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { run } from '../../src/system/run.ts';

/** Whom the folder of repositories belongs to; no such user has to exist. */
const service = 24_001;
const root = mkdtempSync(join(tmpdir(), 'ownership-'));
const paths = pathsUnder(root);
const place = (name: string) => join(paths.repos, name);

beforeAll(() => {
  expect(process.getuid?.(), 'this test needs root').toBe(0);
  for (const folder of [paths.repos, paths.requests]) mkdirSync(folder, { recursive: true });
  chownSync(paths.repos, service, service);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A file that only root may read, as one that must not be given away is. */
const rootsOwn = (file: string): string => {
  writeFileSync(file, 'hush', { mode: 0o600 });
  return file;
};

const ofFile = (file: string): string => {
  const { uid, gid, mode } = lstatSync(file);
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
};

/** Asks for names as the loop does, or as whoever got hold of its user might, and has root answer. */
async function ask(...requests: string[]): Promise<void> {
  for (const request of requests) writeFileSync(join(paths.requests, request), '');
  await run({
    argv: [join(programHome, 'bin/fossilrepo'), '--root', root, 'take-ownership'],
    env: { FOSSILREPO_CACHE: join(root, 'cache') },
    timeout: 60_000,
  });
}

test('root gives away a file of the folder, and nothing that only looks like one', async () => {
  const good = rootsOwn(place('good name.fossil'));
  const linked = rootsOwn(join(root, 'linked'));
  symlinkSync(linked, place('symlink.fossil'));
  const twice = rootsOwn(join(root, 'twice'));
  linkSync(twice, place('hard-link.fossil'));
  await run({ argv: ['mkfifo', '--mode=600', place('fifo.fossil')] });
  mkdirSync(place('folder.fossil'), { mode: 0o700 });
  const within = rootsOwn(join(place('folder.fossil'), 'within.fossil'));
  const above = rootsOwn(join(paths.data, 'above.fossil'));
  const unasked = rootsOwn(place('unasked.fossil'));
  const left = [
    linked,
    place('symlink.fossil'),
    twice,
    place('fifo.fossil'),
    place('folder.fossil'),
    within,
    above,
    paths.data,
    unasked,
  ];
  const before = left.map(ofFile);

  await ask(
    'symlink.fossil',
    'hard-link.fossil',
    'fifo.fossil',
    'folder.fossil',
    'folder.fossil%2fwithin.fossil',
    '..%2fabove.fossil',
    '..%2F',
    encodeURIComponent(linked),
    '%2e%2e',
    // Names that are none, or nobody's.
    '%',
    'gone.fossil',
    'good%20name.fossil',
  );

  expect(ofFile(good)).toBe(`${service}:${service} 660`);
  expect(left.map(ofFile)).toEqual(before);
  expect(readdirSync(paths.requests)).toEqual([]);
});

test('a request that is a folder or a link is none, and is cleared away without what it leads to', async () => {
  const kept = rootsOwn(join(root, 'kept'));
  mkdirSync(join(paths.requests, 'deep/er'), { recursive: true });
  symlinkSync(root, join(paths.requests, 'away'));
  await ask();
  expect(readdirSync(paths.requests)).toEqual([]);
  expect(ofFile(kept)).toBe('0:0 600');
});

test('one that the system keeps is named, and keeps no other one from being given', async () => {
  const kept = rootsOwn(place('a-kept.fossil'));
  const other = rootsOwn(place('b-other.fossil'));
  await run({ argv: ['chattr', '+i', kept] });
  try {
    await expect(ask('a-kept.fossil', 'b-other.fossil')).rejects.toThrow(
      /can't be given to its owner: .*EPERM/,
    );
    expect(ofFile(other)).toBe(`${service}:${service} 660`);
    expect(readdirSync(paths.requests)).toEqual([]);
  } finally {
    await run({ argv: ['chattr', '-i', kept] });
  }
});

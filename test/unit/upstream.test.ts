import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { assignBranches } from '../../src/mirror/upstream/assign.ts';
import { byteReader } from '../../src/mirror/upstream/byte-reader.ts';
import { type Exported, readExport } from '../../src/mirror/upstream/export-stream.ts';
import { fossilNames } from '../../src/mirror/upstream/names.ts';
import { sourceForm, splitFossilUrl } from '../../src/mirror/upstream/source.ts';
import { commentOf, userOf } from '../../src/mirror/upstream/texts.ts';
import { trees } from '../../src/mirror/upstream/trees.ts';
import { checkinText, controlText, harmless } from '../../src/mirror/upstream/write-artifact.ts';
import { dueUpstreams, nextPull } from '../../src/plan/upstream.ts';
import { readPull } from '../../src/programs/fossil.ts';
import { readPeeled, readRemoteHead, unquotePath } from '../../src/programs/git-fast-export.ts';

test('what a source is by its form', () => {
  expect(
    [
      'https://github.com/x/y',
      'https://example.org/y.git',
      'https://ann:pw@example.org/y.git/',
      'git@example.org:x/y.git',
      'host:path',
      'ssh://example.org/x',
      'https://fossil-scm.org/home',
      'http://localhost:8080',
      '/srv/y.git',
      './y',
      'y.fossil',
      'ftp://x/y',
    ].map(sourceForm),
  ).toEqual([
    ...['git', 'git', 'git', 'git', 'git', 'git', 'either', 'fossil', 'path', 'path', 'path', 'fossil'],
  ]);
  const { url, user, password } = splitFossilUrl('https://ann:a%2Fb@example.org/x');
  expect([url, user, password?.reveal()]).toEqual(['https://example.org/x', 'ann', 'a/b']);
  expect(() => splitFossilUrl('ftp://x/y')).toThrow('no address');
});

test('the names of refs in Fossil', () => {
  const { branches, tags } = fossilNames(
    [
      'refs/heads/main',
      'refs/heads/trunk',
      'refs/heads/a/b',
      'refs/tags/v1',
      'refs/tags/a/b',
      'refs/notes/x',
    ],
    'main',
  );
  expect([...branches.values()]).toEqual(['trunk', expect.stringMatching(/^trunk-[0-9a-f]{8}$/), 'a/b']);
  expect([...tags.values()]).toEqual(['v1', expect.stringMatching(/^a\/b-[0-9a-f]{8}$/)]);
  expect(fossilNames(['refs/heads/trunk', 'refs/heads/main'], 'trunk').branches.get('refs/heads/trunk')).toBe(
    'trunk',
  );
});

test('which branch a commit is on', () => {
  // main: a-b-m(b, y)-z   side: a-x-y-s   tag only: b-t
  const graph = new Map([
    ['z', ['m']],
    ['s', ['y']],
    ['m', ['b', 'y']],
    ['t', ['b']],
    ['y', ['x']],
    ['x', ['a']],
    ['b', ['a']],
    ['a', ['old']],
  ]);
  const of = (branches: { name: string; commit: string }[], tags: { name: string; commit: string }[] = []) =>
    Object.fromEntries(assignBranches(graph, branches, tags));
  expect(
    of(
      [
        { name: 'side', commit: 's' },
        { name: 'trunk', commit: 'z' },
      ],
      [{ name: 'v1', commit: 't' }],
    ),
  ).toEqual({ z: 'trunk', m: 'trunk', b: 'trunk', a: 'trunk', s: 'side', y: 'side', x: 'side', t: 'tag/v1' });
  // What was only merged is where it was merged into.
  expect(of([{ name: 'trunk', commit: 'z' }])).toMatchObject({ y: 'trunk', x: 'trunk' });
  expect(of([{ name: 'trunk', commit: 'old' }])).toEqual({});
});

test('a tree after files, folders and other repositories took each other’s place, as git tells it', () => {
  const kept = { hash: 'b0', flag: '' } as const;
  const after = (before: readonly string[], ...changes: string[]) =>
    trees(
      new Map([['c', ['p']]]),
      () => new Map([...before, 'vendor.c'].map((path) => [path, kept])),
      (mark) => `b${mark}`,
    )
      .next(
        'c',
        changes.map((change) => {
          const [what, path = ''] = change.split(' ');
          return { path, to: what === 'M' ? { mode: '100644', mark: 1 } : undefined };
        }),
      )
      .map(([path, { hash }]) => `${path} ${hash}`);
  const folder = ['vendor/a', 'vendor/x/b'];
  const left = 'vendor.c b0';
  // Another repository is told as gone, and was in no tree.
  expect(after([], 'M vendor/a', 'M vendor/x/b', 'D vendor')).toEqual([left, 'vendor/a b1', 'vendor/x/b b1']);
  expect(after(folder, 'D vendor/a', 'D vendor/x/b', 'D vendor')).toEqual([left]);
  expect(after(['vendor'], 'M vendor/a', 'D vendor')).toEqual([left, 'vendor/a b1']);
  expect(after(['vendor'], 'D vendor')).toEqual([left]);
  expect(after(folder, 'D vendor/a', 'D vendor/x/b', 'M vendor')).toEqual(['vendor b1', left]);
  expect(after(folder, 'D vendor')).toEqual([left]);
});

describe('artifacts', () => {
  test('a check-in and a control artifact as Fossil writes them', () => {
    expect(
      checkinText({
        comment: 'a b\nc\\',
        at: 1_000_000_000,
        files: [['x y', { hash: 'f1', flag: ' x' }]],
        parents: ['p1', 'p2'],
        tags: [
          { sign: '-', name: 'sym-trunk', on: '*' },
          { sign: '*', name: 'sym-dev', on: '*' },
          { sign: '*', name: 'branch', on: '*', value: 'dev' },
        ],
        user: 'ann@x.org',
      }).toString(),
    ).toMatch(
      /^C a\\sb\\nc\\\\\nD 2001-09-09T01:46:40\nF x\\sy f1 x\nP p1 p2\nT \*branch \* dev\nT \*sym-dev \*\nT -sym-trunk \*\nU ann@x\.org\nZ [0-9a-f]{32}\n$/,
    );
  });

  test('files with the form of an artifact lose it; nearly all others stay as they are', () => {
    const artifact = controlText(0, [{ sign: '+', name: 'sym-x', on: 'a'.repeat(40) }], 'm');
    expect(harmless(artifact).toString()).toBe(
      `${artifact.toString()}# Remove this line to create a well-formed Fossil artifact.\n`,
    );
    const signed = Buffer.from(
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: X\n\n${artifact.toString()}-----BEGIN PGP SIGNATURE-----\n`,
    );
    expect(harmless(signed).toString()).toContain('# Remove this line');
    for (const same of [
      `${artifact.toString()} `,
      artifact.toString().replace('sym-x', 'sym-y'),
      'D is the first letter\n',
      '',
    ].map((text) => Buffer.from(text)))
      expect(harmless(same)).toBe(same);
  });

  test('texts and people', () => {
    expect(commentOf(Buffer.from('\n'))).toBe('(no comment)');
    expect(Buffer.from(commentOf(Buffer.from('f\xfcr\n', 'latin1')), 'latin1').toString()).toBe('für');
    expect(['A <a@x>', 'A B <>', '<>', ' <a b>'].map(userOf)).toEqual(['a@x', 'A B', 'unknown', 'a b']);
  });
});

describe('the stream of git', () => {
  const read = async (text: string, piece = 3): Promise<Exported[]> => {
    const bytes = Buffer.from(text, 'latin1');
    const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, index) =>
      bytes.subarray(index * piece, (index + 1) * piece),
    );
    const records: Exported[] = [];
    for await (const record of readExport(byteReader(Readable.from(pieces)))) records.push(record);
    return records;
  };
  const commit =
    'blob\nmark :1\noriginal-oid aa\ndata 3\na\nb\nreset x\ncommit x\nmark :2\noriginal-oid bb\nauthor A <a> 5 +0100\n' +
    'committer C <c> 7 +0000\ndata 4\nonefrom :9\nM 100755 :1 "q\\"\\303\\t"\nM 160000 cc sub\nD gone\n\n';

  test('is read in pieces of any size', async () => {
    for (const piece of [1, 2, 7, 10_000])
      expect(await read(commit.replace('onefrom', 'one\nfrom'), piece)).toMatchObject([
        { is: 'blob', mark: 1, content: Buffer.from('a\nb') },
        {
          ...{ is: 'commit', hash: 'bb', author: 'A <a>', at: 7, submodules: 1 },
          changes: [
            { path: 'q"\xc3\t', to: { mode: '100755', mark: 1 } },
            { path: 'sub', to: undefined },
            { path: 'gone', to: undefined },
          ],
        },
      ]);
  });

  test('that ends in the middle, or holds anything else, is refused', async () => {
    const whole = commit.replace('onefrom', 'one\nfrom');
    for (const length of [3, 20, 38, 60, whole.indexOf('one') + 1])
      await expect(read(whole.slice(0, length))).rejects.toThrow(/ended in the middle|not expected/);
    await expect(read('feature x\n')).rejects.toThrow('not expected');
    expect(unquotePath('"a\\\\b\\n\\001"')).toBe('a\\b\n\x01');
    expect(readRemoteHead('ref: refs/heads/dev/x\tHEAD\naa\tHEAD\n')).toBe('dev/x');
    expect(readPeeled('cc commit\nbb^{commit} missing\n', ['aa', 'bb'])).toEqual(new Map([['aa', 'cc']]));
  });
});

test('what fossil pull says, which answers 0 whatever happens', () => {
  const done = (remote: string) => `Pull done, wire bytes sent: 1  received: 2  remote: ${remote}`;
  const of = (stdout: string, stderr = '', remote = true) =>
    readPull({ stdout, stderr, code: 0 }, remote).problem;
  expect(of(`Round-trips: 1   Artifacts sent: 0  received: 3\n${done('127.0.0.1')}`)).toBe(undefined);
  expect(of(`Error: login failed\n${done('127.0.0.1')}`)).toBe('Error: login failed');
  expect(of(done(''), 'cannot connect to host x:1')).toBe('cannot connect to host x:1');
  expect(of(done('127.0.0.1'), 'server says: 404 Not Found')).toContain('404');
  expect(of(done(''))).toBe('nobody answered');
  expect(of(done(''), '', false)).toBe(undefined);
  expect(of('')).toBe('nobody answered');
});

test('when an upstream is looked at', () => {
  const now = 10 * 3_600_000;
  const one = { everyMs: 900_000, triedAt: now - 900_000, errorKind: null, nextTryAt: null };
  const failed = { ...one, errorKind: 'unreachable', nextTryAt: now + 1 };
  const due = (...all: (typeof one | typeof failed)[]) => dueUpstreams(all, now).length;
  expect(due(one, { ...one, triedAt: now - 899_999 }, { ...one, triedAt: now + 1e9 })).toBe(2);
  expect(due(failed, { ...failed, nextTryAt: now }, { ...failed, nextTryAt: now + 1e9 })).toBe(2);
  expect([1, 2, 3, 4, 9].map((times) => (nextPull('timeout', times, 0) ?? 0) / 60_000)).toEqual([
    1, 5, 15, 60, 60,
  ]);
  expect([nextPull('credential', 1, 0), nextPull('rewritten', 1, 0)]).toEqual([null, 3_600_000]);
});

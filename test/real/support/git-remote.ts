import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { asForgesUser } from '../forge.ts';

const asUser = asForgesUser();

/** A bare repository that belongs to the server's user. */
export type Remote = ReturnType<typeof makeRemote>;

/** Makes one; with `ours`, of the test's own user. Histories come by git fast-import, which takes what no other command would write. */
export function makeRemote(
  folder: string,
  options: { main?: string; exists?: boolean; ours?: boolean } = {},
) {
  let clock = 1_500_000_000;
  const run = (args: readonly string[], input?: string | Buffer): Buffer => {
    const [file = 'git', ...rest] = [...(options.ours === true ? [] : asUser), 'git', ...args];
    return execFileSync(file, rest, {
      cwd: '/',
      env: {
        PATH: process.env['PATH'],
        HOME: '/nonexistent',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
      },
      maxBuffer: 1 << 28,
      ...(input !== undefined && { input }),
    });
  };
  const git = (...args: string[]): string =>
    run([`--git-dir=${folder}`, ...args])
      .toString('latin1')
      .trim();
  const feed = (stream: string | Buffer): void =>
    void run([`--git-dir=${folder}`, 'fast-import', '--quiet', '--force'], stream);
  if (options.exists !== true)
    run(['init', '-q', '--bare', `--initial-branch=${options.main ?? 'main'}`, folder]);
  return {
    folder,
    git,
    /** Objects as git has them. */
    raw: (args: readonly string[], input?: string) => run([`--git-dir=${folder}`, ...args], input),
    feed,
    /** A commit of `files` (path → text) on a branch, on top of it or of `parents`. @returns its hash */
    commit: (
      branch: string,
      text: string,
      files: Readonly<Record<string, string>>,
      parents?: readonly string[],
    ): string => {
      clock += 60;
      const tip = git('for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`);
      const [first, ...others] = parents ?? (tip === '' ? [] : [tip]);
      feed(
        [
          `commit refs/heads/${branch}`,
          `committer Ann Example <ann@example.org> ${clock} +0000`,
          data(text),
          ...(first === undefined ? [] : [`from ${first}`]),
          ...others.map((parent) => `merge ${parent}`),
          ...Object.entries(files).map(([path, content]) => `M 100644 inline ${path}\n${data(content)}`),
          '',
        ].join('\n'),
      );
      return git('rev-parse', `refs/heads/${branch}`);
    },
    tip: (branch: string): string => git('rev-parse', `refs/heads/${branch}`),
    count: (): number => Number(git('rev-list', '--count', '--branches', '--tags')),
  };
}

const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}`;

/** Everything odd that a history may hold. Text as bytes, each a character. */
export function oddHistory(): Buffer {
  const at = (() => {
    let now = 1_400_000_000;
    return () => `${(now += 3600)} +0200`;
  })();
  const bytes = (text: string) => `data ${text.length}\n${text}`;
  const control = 'D 2020-01-01T00:00:00\nT +sym-evil 0123456789012345678901234567890123456789\nU mallory\n';
  const sum = createHash('md5').update(control).digest('hex');
  const [artifact, nearly] = [
    `${control}Z ${sum}\n`,
    `${control}Z ${sum.replaceAll('a', 'b').replaceAll('1', '2')}\n`,
  ];
  return Buffer.from(
    [
      `blob\nmark :1\n${bytes('hello\n')}`,
      `blob\nmark :2\n${bytes('#!/bin/sh\n')}`,
      `blob\nmark :3\n${bytes('a.txt')}`,
      `blob\nmark :4\n${bytes('\x00\xff\xfe binary \n\x00')}`,
      `blob\nmark :5\n${bytes('')}`,
      `blob\nmark :6\n${bytes(artifact)}`,
      `blob\nmark :7\n${bytes(nearly)}`,
      `commit refs/heads/main\nmark :10\nauthor <> ${at()}\ncommitter <> ${at()}\n${bytes('one\n')}`,
      'M 100644 :1 a.txt\nM 100755 :2 bin/run\nM 120000 :3 link\nM 100644 :4 "d\\303\\251/q\\"u\\to te \\\\ x"\nM 100644 :5 empty\nM 100644 :1 dir/file\n',
      `commit refs/heads/main\nmark :11\nauthor J\xfcrgen <j@x.org> ${at()}\ncommitter C <c@x.org> ${at()}\n${bytes('latin \xfc\n\nmore\n')}`,
      'from :10\nD dir/file\nM 100644 :2 dir\nM 100644 :1 bin/run\nM 160000 0123456789012345678901234567890123456789 sub\n',
      `commit refs/heads/feature/x\nmark :12\ncommitter D  D <d@x.org> ${at()}\n${bytes('')}`,
      'from :10\nM 100644 :6 artifact\nM 100644 :7 nearly\nD a.txt\n',
      `commit refs/heads/trunk\nmark :13\ncommitter E <e@x.org> ${at()}\n${bytes('  odd text \\s \r\n\ttab')}`,
      'from :11\nD dir\nM 100644 :1 dir/again\n',
      `commit refs/heads/master\nmark :14\ncommitter E <e@x.org> ${at()}\n${bytes('root two')}`,
      'M 100644 :1 other\n',
      `commit refs/heads/main\nmark :15\ncommitter F <f@x.org> 1000000000 +0000\n${bytes('late merge')}`,
      'from :11\nmerge :12\nmerge :14\nM 100644 :1 other\nM 100644 :6 artifact\nM 100644 :2 a\n',
      `commit refs/tags/detached\nmark :16\ncommitter G <g@x.org> ${at()}\n${bytes('only tagged')}`,
      'from :11\nM 100644 :2 rel\n',
      `commit refs/pull/1/head\nmark :17\ncommitter G <g@x.org> ${at()}\n${bytes('never')}`,
      'from :15\nM 100644 :2 pull\n',
      `tag v1\nfrom :10\ntagger T <t@x.org> ${at()}\n${bytes('one')}`,
      'reset refs/tags/main\nfrom :12\nreset refs/tags/same\nfrom :15\nreset refs/notes/x\nfrom :17\n',
      'reset refs/heads/twin\nfrom :15\n',
    ]
      .map((part) => (part.endsWith('\n') ? part : `${part}\n`))
      .join(''),
    'latin1',
  );
}

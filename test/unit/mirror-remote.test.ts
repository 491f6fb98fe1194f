import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { OperatorError } from '../../src/errors.ts';
import { remoteAddress, splitRemoteUrl } from '../../src/mirror/remote/address.ts';
import { explain, needsMending } from '../../src/mirror/remote/error.ts';
import { batches, standings, updateOf } from '../../src/mirror/remote/standing.ts';
import { gitPush, gitRemoteEnvironment, pushLength, type RefUpdate } from '../../src/programs/git.ts';
import {
  readBytes,
  readLog,
  readPush,
  readRefs,
  readRemoteText,
  reasonOf,
} from '../../src/programs/git-output.ts';
import { readHostKeys, sshRemoteConfig } from '../../src/programs/ssh.ts';

const one = '1'.repeat(40);
const two = '2'.repeat(40);
const three = '3'.repeat(40);

describe('an address', () => {
  test.each([
    ['https://github.com/o/r.git', 'https', 'github.com', undefined, undefined, '/o/r.git'],
    ['https://git.example:8443/r', 'https', 'git.example', 8443, undefined, '/r'],
    ['http://ann@127.0.0.1:3000/r', 'http', '127.0.0.1', 3000, 'ann', '/r'],
    ['ssh://git@git.example:2222/~/r.git', 'ssh', 'git.example', 2222, 'git', '/~/r.git'],
    ['ssh://git@[::1]:22/r', 'ssh', '::1', 22, 'git', '/r'],
    ['git@GitHub.com:o/r.git', 'ssh', 'github.com', undefined, 'git', 'o/r.git'],
    ['git.example:r with space', 'ssh', 'git.example', undefined, undefined, 'r with space'],
    ['git@[::1]:r', 'ssh', '::1', undefined, 'git', 'r'],
    ['/srv/git/r: x.git', 'file', '', undefined, undefined, '/srv/git/r: x.git'],
    ['file:///srv/git/r%20x', 'file', '', undefined, undefined, '/srv/git/r x'],
  ] as const)('%s', (typed, protocol, host, port, user, path) => {
    const { address, token } = splitRemoteUrl(` ${typed}\n`);
    expect(address).toMatchObject({ protocol, host, port, user, path });
    expect(token).toBeUndefined();
    // What is stored is read again.
    expect(remoteAddress(address.url)).toMatchObject({ protocol, host, port, path });
  });

  test.each([
    ['https://ann:s%40cret%2F1@git.example/r', 'ann', 's@cret/1'],
    ['https://:s%40cret%2F1@git.example/r', undefined, 's@cret/1'],
    ['https://ghp_0123456789abcdefABCD@git.example/r', undefined, 'ghp_0123456789abcdefABCD'],
    ['https://glpat-0123456789abcdef-x_Y@git.example/r', undefined, 'glpat-0123456789abcdef-x_Y'],
    ['http://ann:100%@git.example/r', 'ann', '100%'],
  ])('%s is stored without its password', (typed, user, password) => {
    const { address, token } = splitRemoteUrl(typed);
    expect(address.url).toBe(`${typed.slice(0, typed.indexOf(':'))}://git.example/r`);
    expect(address.user).toBe(user);
    expect(token?.reveal()).toBe(password);
    expect(JSON.stringify({ address, token })).not.toContain(password);
  });

  test.each([
    '',
    'r.git',
    './r.git',
    'ext::sh -c true',
    'git://git.example/r',
    'ftp://git.example/r',
    'fd::7',
    'https://git.example',
    'https://git.example/r?x=1',
    'https://git.example/r#x',
    '--upload-pack=true',
    'ssh://-oProxyCommand=true/r',
    '-oProxyCommand=true:r',
    'ssh://git.example/-r'.replace('/-r', ''),
    'file://host/r',
    'git.example:-r',
    'https://git.example/r\nx',
  ])('“%s” is none', (typed) => {
    expect(() => splitRemoteUrl(typed)).toThrow(OperatorError);
  });

  test('a mistake in one shows no password', () => {
    for (const typed of [
      'ftp://ann:hidden@git.example/r',
      'ssh://ann:hidden@git.example/r',
      'https://ann:hidden@',
    ])
      try {
        splitRemoteUrl(typed);
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toContain('hidden');
      }
    expect(() => remoteAddress('https://ann:hidden@git.example/r')).toThrow(/holds a password/);
  });
});

describe('what git prints', () => {
  test('refs', () => {
    expect(readRefs(`${one}\trefs/heads/main\n${two}\trefs/tags/v 1\n`)).toEqual(
      new Map([
        ['refs/heads/main', one],
        ['refs/tags/v 1', two],
      ]),
    );
    expect(readRefs('')).toEqual(new Map());
    expect(() => readRefs('warning: something\n')).toThrow(/is no ref/);
  });

  test('a push, ref by ref', () => {
    const stdout = [
      'To https://git.example/r',
      `*\t${one}:refs/heads/new\t[new branch]`,
      ` \t${one}:refs/heads/on\t${two.slice(0, 7)}..${one.slice(0, 7)}`,
      `+\t${one}:refs/heads/back\t${two.slice(0, 7)}...${one.slice(0, 7)} (forced update)`,
      '-\t:refs/heads/gone\t[deleted]',
      `=\t${one}:refs/tags/v1\t[up to date]`,
      `!\t${one}:refs/heads/stale\t[rejected] (stale info)`,
      `!\t${one}:refs/heads/kept\t[remote rejected] (pre-receive hook declined)`,
      'Done',
      '',
    ].join('\n');
    const lines = readPush(stdout);
    expect(lines.map(({ ref, flag }) => `${flag} ${ref.slice('refs/'.length)}`)).toEqual([
      'created heads/new',
      'updated heads/on',
      'forced heads/back',
      'deleted heads/gone',
      'same tags/v1',
      'rejected heads/stale',
      'rejected heads/kept',
    ]);
    expect(lines.slice(-2).map(({ summary }) => reasonOf(summary))).toEqual([
      'stale info',
      'pre-receive hook declined',
    ]);
  });

  test('what the remote said, and how much went over', () => {
    const stderr = [
      'Counting objects: 100% (3/3), done.',
      'Writing objects:  33% (1/3)\rWriting objects: 100% (3/3), 1.50 KiB | 1.50 MiB/s, done.',
      'Total 3 (delta 0), reused 0 (delta 0), pack-reused 0',
      'remote: Resolving deltas: 100% (1/1), done.        ',
      'remote: ',
      'remote: \u001b[31mGH001: file too large\u001b[0m        ',
      'remote: error: hook declined to update refs/heads/x',
      'error: failed to push some refs',
    ].join('\n');
    expect(readRemoteText(stderr)).toEqual(['GH001: file too large']);
    expect(readBytes(stderr)).toBe(1536);
    expect(readBytes('')).toBe(0);
  });

  test('a log, with nothing in it that moves a cursor', () => {
    const entry = [one, 'Eve \u001b[2JX', 'e@x', '2026-11-21T10:00:00+01:00', 'a subject'].join('\x1f');
    expect(readLog(`${entry}\0${entry}\0`)).toHaveLength(2);
    expect(readLog(`${entry}\0`)).toEqual([
      { hash: one, author: 'Eve X', mail: 'e@x', date: '2026-11-21T10:00:00+01:00', subject: 'a subject' },
    ]);
  });
});

describe('what went wrong', () => {
  const address = remoteAddress('https://git.example/r');
  test.each([
    ["fatal: Authentication failed for 'https://git.example/r/'", 'credential'],
    ["fatal: could not read Username for 'https://git.example': terminal prompts disabled", 'credential'],
    ["fatal: unable to access 'https://git.example/r/': The requested URL returned error: 403", 'credential'],
    [
      'git@git.example: Permission denied (publickey).\nfatal: Could not read from remote repository.',
      'credential',
    ],
    ['ERROR: The key you are authenticating with has been marked as read only.', 'credential'],
    [
      'remote: Permission to o/r.git denied to ann.\nfatal: unable to access: The requested URL returned error: 403',
      'credential',
    ],
    ["remote: Repository not found.\nfatal: repository 'https://git.example/r/' not found", 'missing'],
    ["fatal: '/srv/r' does not appear to be a git repository", 'missing'],
    [
      'remote: The project you were looking for could not be found or you don’t have permission to view it.',
      'missing',
    ],
    ['@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.', 'host-key'],
    [
      'No ED25519 host key is known for git.example and you have requested strict checking.\nHost key verification failed.',
      'host-key',
    ],
    [
      'fatal: unable to access: Operation too slow. Less than 1 bytes/sec transferred the last 60 seconds',
      'timeout',
    ],
    ['Connection timed out during banner exchange\nConnection to 1.2.3.4 port 22 timed out', 'timeout'],
    ['fatal: unable to access: Could not resolve host: git.example', 'unreachable'],
    [
      "fatal: unable to access: Failed to connect to git.example port 443 after 0 ms: Couldn't connect to server",
      'unreachable',
    ],
    ['ssh: connect to host git.example port 22: Connection refused', 'unreachable'],
    [
      'fatal: unable to access: server certificate verification failed. CAfile: none CRLfile: none',
      'unreachable',
    ],
    ['fatal: unable to access: The requested URL returned error: 301', 'unreachable'],
    ['error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413', 'rejected'],
    [
      'remote: You cannot perform write operations on a read-only instance\nfatal: unable to access: The requested URL returned error: 403',
      'unreachable',
    ],
    ['remote: GitLab is under maintenance\nfatal: The requested URL returned error: 403', 'unreachable'],
    ['fatal: something nobody has heard of', 'unreachable'],
  ])('%s', (stderr, kind) => {
    const error = explain(address, stderr, 'answered');
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(/^https:\/\/git\.example\/r: /);
    expect(error.next).toMatch(/\.$/);
  });

  test.each([
    // As Debian's git (GnuTLS) and others (OpenSSL) word them.
    ['server certificate verification failed. CAfile: none CRLfile: none', 'with its certificate'],
    ['SSL certificate problem: unable to get local issuer certificate', 'with its certificate'],
    [
      "SSL: certificate subject name (other.example) does not match target host name 'git.example'",
      'with its certificate',
    ],
    ['GnuTLS recv error (-54): Error in the pull function.', 'broke off'],
    ['GnuTLS recv error (-110): The TLS connection was non-properly terminated.', 'broke off'],
    ['gnutls_handshake() failed: The TLS connection was non-properly terminated.', 'broke off'],
    ['OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to git.example:443', 'broke off'],
    ['Could not resolve host: tls.example', 'is not known'],
  ])('of a certificate is only what is: %s', (said, what) => {
    const stderr = `fatal: unable to access 'https://git.example/r/': ${said}`;
    expect(explain(address, stderr, 'answered').message).toContain(what);
  });

  test('a repository may be called like a mistake', () => {
    const named = remoteAddress('https://git.example/ssl/read-only/access-denied');
    const stderr = `fatal: unable to access '${named.url}/': Could not resolve host: git.example`;
    expect(explain(named, stderr, 'answered').message).toContain('the name git.example is not known');
    const there = remoteAddress('ssh://git@git.example/srv/read-only.git');
    const missing = "fatal: '/srv/read-only.git' does not appear to be a git repository";
    expect(explain(there, missing, 'answered').kind).toBe('missing');
    const short = remoteAddress('git@git.example:r');
    expect(explain(short, 'git@git.example: Permission denied (publickey).', 'answered').kind).toBe(
      'credential',
    );
  });

  test('a folder is no matter of credentials', () => {
    const folder = remoteAddress('/srv/git/r.git');
    const denied = 'error: insufficient permission for adding an object to repository database ./objects';
    expect(explain(folder, denied, 'answered')).toMatchObject({
      kind: 'credential',
      message: expect.stringMatching(
        /^\/srv\/git\/r\.git: \/srv\/git\/r\.git does not let the user that works on it push/,
      ) as string,
      next: 'Give this user the right to write there.',
    });
    expect(explain(folder, 'fatal: cannot lock: Read-only file system', 'answered').next).toContain(
      'ReadWritePaths=',
    );
  });

  test('a deadline says so, whatever git wrote before', () => {
    expect(explain(address, 'fatal: Authentication failed', 'took too long').kind).toBe('timeout');
  });

  test('passwords in addresses that git repeats are left out', () => {
    const error = explain(
      address,
      "fatal: repository 'https://ann:hidden@git.example/r' not found",
      'answered',
    );
    expect(error.message).not.toContain('hidden');
  });

  test('only some need a person', () => {
    expect(needsMending('credential')).toBe(true);
    expect(needsMending('host-key')).toBe(true);
    expect(needsMending('timeout')).toBe(false);
  });
});

describe('how refs stand', () => {
  const at = (refs: Record<string, string>) => new Map(Object.entries(refs));
  const stand = (there?: string, wanted?: string, last?: string) => {
    const side = (value?: string) => at(value === undefined ? {} : { 'refs/heads/x': value });
    return standings({ there: side(there), wanted: side(wanted), last: side(last) })[0]?.state;
  };

  test.each([
    ['new', undefined, one, undefined, 'ours'],
    ['on', one, two, one, 'ours'],
    ['there already', one, one, undefined, 'same'],
    ['deleted there', undefined, one, one, 'ours'],
    ['to be deleted', one, undefined, one, 'ours'],
    ['deleted on both sides', undefined, undefined, one, 'same'],
    ['changed there', two, three, one, 'unknown'],
    ['changed there, to be deleted', two, undefined, one, 'unknown'],
    ['somebody else’s with this name', two, one, undefined, 'unknown'],
  ])('%s', (_, there, wanted, last, state) => {
    expect(stand(there, wanted, last)).toBe(state);
  });

  test('refs of others don’t come up, and only branches and tags are ours', () => {
    const there = at({ 'refs/heads/theirs': one, 'refs/pull/1/head': one });
    expect(standings({ there, wanted: at({}), last: at({}) })).toEqual([]);
    expect(() => standings({ there, wanted: at({ 'refs/pull/1/head': one }), last: at({}) })).toThrow(
      /neither a branch nor a tag/,
    );
  });

  test('a change expects what was seen', () => {
    const [standing] = standings({ there: at({ 'refs/tags/v': one }), wanted: at({}), last: at({}) });
    expect(standing).toBeUndefined();
    expect(updateOf({ ref: 'refs/tags/v', there: one, wanted: undefined, last: one, state: 'ours' })).toEqual(
      { ref: 'refs/tags/v', to: undefined, expected: one },
    );
  });
});

describe('pushes', () => {
  const make = (ref: string): RefUpdate => ({ ref, to: one, expected: undefined });
  const drop = (ref: string): RefUpdate => ({ ref, to: undefined, expected: one });
  const order = (updates: RefUpdate[], first?: string) =>
    batches(updates, { first, length: pushLength }).map((batch) => batch.map(({ ref }) => ref));

  test('each ref has its own lease, and the command has no other force', () => {
    const { argv } = gitPush('/c', 'https://git.example/r', [
      { ref: 'refs/heads/a', to: two, expected: one },
      { ref: 'refs/heads/b', to: one, expected: undefined },
      { ref: 'refs/heads/c', to: undefined, expected: one },
    ]);
    expect(argv.slice(argv.indexOf('--') - 3)).toEqual([
      `--force-with-lease=refs/heads/a:${one}`,
      '--force-with-lease=refs/heads/b:',
      `--force-with-lease=refs/heads/c:${one}`,
      '--',
      'https://git.example/r',
      `${two}:refs/heads/a`,
      `${one}:refs/heads/b`,
      ':refs/heads/c',
    ]);
    expect(argv).not.toContain('--force');
  });

  test('into an empty remote the main branch goes first', () => {
    expect(order([make('refs/heads/a'), make('refs/heads/main')], 'refs/heads/main')).toEqual([
      ['refs/heads/main'],
      ['refs/heads/a'],
    ]);
    expect(order([make('refs/heads/a'), make('refs/heads/main')])).toEqual([
      ['refs/heads/a', 'refs/heads/main'],
    ]);
  });

  test('what stands in the way of a new name goes before it, and nothing else does', () => {
    expect(
      order([
        make('refs/heads/a/b'),
        drop('refs/heads/a'),
        drop('refs/heads/c/d/e'),
        make('refs/heads/c'),
        drop('refs/heads/ab'),
      ]),
    ).toEqual([
      ['refs/heads/a', 'refs/heads/c/d/e'],
      ['refs/heads/a/b', 'refs/heads/c', 'refs/heads/ab'],
    ]);
  });

  test('many go in several command lines of bounded size', () => {
    const many = Array.from({ length: 5_000 }, (_, index) => make(`refs/heads/${'x'.repeat(180)}${index}`));
    const cut = batches(many, { first: undefined, length: pushLength });
    expect(cut.flat()).toEqual(many);
    expect(cut.length).toBeGreaterThan(3);
    for (const batch of cut)
      expect(batch.reduce((sum, update) => sum + pushLength(update), 0)).toBeLessThanOrEqual(256 * 1024);
  });
});

describe('what git and ssh get', () => {
  test('an environment without secrets, that allows one protocol', () => {
    const env = gitRemoteEnvironment({
      ...{ program: '/opt/fossilrepo', folder: '/tmp/x', protocol: 'https', quiet: 60_500, roots: undefined },
    });
    expect(env).toMatchObject({
      GIT_ALLOW_PROTOCOL: 'https',
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_HTTP_LOW_SPEED_TIME: '61',
      FOSSILREPO_REMOTE: '/tmp/x',
    });
    for (const script of [env['GIT_ASKPASS'], env['GIT_SSH']])
      expect(readFileSync(join(programHome, script?.slice('/opt/fossilrepo'.length) ?? ''), 'utf8')).toMatch(
        /^#!\/bin\/sh\n/,
      );
  });

  test('ssh takes no key but ours', () => {
    expect(sshRemoteConfig({ key: true, ask: 60_000 })).toContain('\n  IdentityFile ./key\n');
    expect(sshRemoteConfig({ key: false, ask: 60_000 })).toContain('\n  IdentityFile none\n');
    expect(sshRemoteConfig({ key: true, ask: 60_000 })).toContain('\n  StrictHostKeyChecking yes\n');
  });

  test('host keys with their fingerprints', () => {
    // GitHub's own, with the fingerprint that it publishes.
    const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
    expect(readHostKeys(`# github.com:22 SSH-2.0\ngithub.com ssh-ed25519 ${key}\n\nx y\n`)).toEqual([
      {
        type: 'ssh-ed25519',
        fingerprint: 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU',
        line: `github.com ssh-ed25519 ${key}`,
      },
    ]);
  });
});

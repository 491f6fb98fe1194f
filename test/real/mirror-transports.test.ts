import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { makeDeployKey } from '../../src/mirror/remote/deploy-key.ts';
import { RemoteError } from '../../src/mirror/remote/error.ts';
import { scanHostKeys } from '../../src/mirror/remote/host-keys.ts';
import { probeRemote } from '../../src/mirror/remote/probe.ts';
import { pushRefs } from '../../src/mirror/remote/push.ts';
import { type Credential, type Remote, withRemote } from '../../src/mirror/remote/remote.ts';
import { secret } from '../../src/secrets/secret.ts';
import { run } from '../../src/system/run.ts';
import { eventually } from './forge.ts';
import { measured, processesOf } from './processes.ts';
import { type GitLab, startGitLab } from './support/git-lab.ts';
import { startGitHttp, startSilent, startSshd } from './support/git-servers.ts';

/** Made here, so that no environment and no file has it before. */
const token = `glpat-${crypto.randomUUID()}`;
const logins = {
  ann: { password: token, may: 'push' },
  bob: { password: `${token}-b`, may: 'read' },
} as const;

let lab: GitLab;
let http: Awaited<ReturnType<typeof startGitHttp>>;
let sshd: Awaited<ReturnType<typeof startSshd>>;
let cache: string;
let a: string;
const main = 'refs/heads/main';

beforeAll(async () => {
  lab = startGitLab();
  http = await startGitHttp(lab.root, logins);
  sshd = await startSshd();
  cache = await lab.bare('cache.git');
  a = await lab.commit(cache, 'first');
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await http[Symbol.asyncDispose]();
  lab[Symbol.dispose]();
});

const byToken = (
  url: string,
  user: 'ann' | 'bob' = 'ann',
  password: string = logins[user].password,
): Remote => ({
  url,
  credential: { kind: 'token', user, token: secret(password) },
  hostKeys: undefined,
});

type Options = Parameters<typeof withRemote>[3];

/** Pushes `main` and says what the remote has then. */
const push = (remote: Remote, options: Options = {}, folder = cache, hash = a) =>
  withRemote(
    lab.forge,
    remote,
    (git) =>
      pushRefs(git, { folder, wanted: new Map([[main, hash]]), last: new Map(), policy: 'refuse', main }),
    options,
  );
const probe = (remote: Remote, options: Options = {}) => withRemote(lab.forge, remote, probeRemote, options);

/** What a work that has to fail with a remote's error said. */
async function failure(work: Promise<unknown>): Promise<RemoteError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RemoteError)) throw new Error(`no RemoteError but ${String(error)}`);
  expect(error.message + (error.next ?? '') + error.said.join()).not.toContain(token);
  return error;
}

/** A hook that takes its time. */
function slowly(repository: string, seconds: number): void {
  const file = join(repository, 'hooks/pre-receive');
  mkdirSync(join(repository, 'hooks'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\nsleep ${seconds}\n`);
  chmodSync(file, 0o755);
}

/** Where a secret shows: command lines and environments of all processes, files below a folder. */
function places(secret: string, folders: readonly string[]): string[] {
  const found = (file: string): boolean => {
    try {
      return readFileSync(file).includes(secret);
    } catch {
      return false;
    }
  };
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const files = folders.flatMap((folder) =>
    execFileSync('find', [folder, '-type', 'f', '-ignore_readdir_race']).toString().trim().split('\n'),
  );
  return [...processes.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`]), ...files].filter(
    found,
  );
}

/** Does `work` and looks meanwhile where a secret shows. */
async function watched<T>(secret: string, work: () => Promise<T>) {
  const seen = new Set<string>();
  let looks = 0;
  let done = false;
  const watch = async (): Promise<void> => {
    while (!done) {
      for (const place of places(secret, [lab.root])) seen.add(place.replace(/remote-\d+-\w+/, 'FOLDER'));
      looks += 1;
      await sleep(20);
    }
  };
  const working = work().finally(() => (done = true));
  const [result] = await Promise.all([working, watch()]);
  return { result, seen: [...seen], looks };
}

describe('HTTP', () => {
  test('a token pushes, and is nowhere but in its own file meanwhile', async () => {
    const remote = await lab.bare('token.git');
    slowly(remote, 1);
    const { result, seen, looks } = await watched(token, () => push(byToken(http.url('token.git'))));
    expect(result).toMatchObject({ ok: true });
    expect(await lab.refs(remote)).toEqual({ [main]: a });
    expect(seen).toEqual([join(lab.root, 'tmp/FOLDER/token')]);
    expect(looks).toBeGreaterThan(10);
    expect(places(token, [lab.root])).toEqual([]);
    expect(JSON.stringify(result)).not.toContain(token);
    measured(`a token was looked for ${looks} times while it was used`);
  });

  test('the files of a remote are only ours', async () => {
    const modes = await withRemote(lab.forge, byToken(http.url('x.git')), (git) =>
      Promise.resolve(
        execFileSync('stat', ['-c', '%n %a', git.folder, 'token', 'user'], { cwd: git.folder }).toString(),
      ),
    );
    expect(modes.replace(/^\S+/, 'FOLDER')).toBe('FOLDER 700\ntoken 600\nuser 600\n');
  });

  test('what a killed process left of a credential is removed by the next work', async () => {
    const { tmp } = lab.forge.paths;
    const [gone, alive] = [join(tmp, 'remote-4999999-x'), join(tmp, `remote-${process.ppid}-x`)];
    for (const folder of [gone, alive]) {
      mkdirSync(folder);
      writeFileSync(join(folder, 'token'), token);
    }
    await withRemote(lab.forge, byToken(http.url('x.git')), () => Promise.resolve());
    expect(readdirSync(tmp)).toEqual([basename(alive)]);
    rmSync(alive, { recursive: true });
  });

  test('tried: may push, may only read, is refused, has no such repository', async () => {
    const remote = await lab.bare('tried.git');
    await lab.git(remote, ['fetch', '--quiet', cache, `${a}:refs/heads/there`]);
    const may = await probe(byToken(http.url('tried.git')));
    expect(may).toEqual({ refs: new Map([['refs/heads/there', a]]), refused: undefined });
    const reader = await probe(byToken(http.url('tried.git'), 'bob'));
    expect(reader.refused).toMatchObject({ kind: 'credential' });
    expect(reader.refused?.message).toContain('does not let this credential push');
    expect(await failure(probe(byToken(http.url('tried.git'), 'ann', `${token}-wrong`)))).toMatchObject({
      kind: 'credential',
      message: expect.stringContaining('refused the credential') as string,
    });
    expect(await failure(probe({ ...byToken(http.url('tried.git')), credential: undefined }))).toMatchObject({
      kind: 'credential',
    });
    expect(await failure(probe(byToken(http.url('none.git'))))).toMatchObject({ kind: 'missing' });
    expect(await lab.refs(remote)).toEqual({ 'refs/heads/there': a });
    expect((await push(byToken(http.url('tried.git'), 'bob'))).error).toMatchObject({ kind: 'credential' });
  });

  test('a server that sends on to another one gets no token to it', async () => {
    await using other = await startGitHttp(lab.root, logins);
    await using first = await startGitHttp(lab.root, logins);
    first.redirect(other.url('').slice(0, -1));
    const error = await failure(push(byToken(first.url('token.git'))));
    expect(error).toMatchObject({ kind: 'unreachable' });
    expect(error.message).toContain('sends on to another address');
    expect(first.asked.length).toBeGreaterThan(0);
    expect(other.asked).toEqual([]);
  });

  test('only questions for its own server are answered', async () => {
    const answers = await withRemote(lab.forge, byToken('https://one.example:8443/x.git'), async (git) => {
      const ask = async (question: string) => {
        const { stdout, code } = await run({
          argv: [join(programHome, 'bin/git-askpass'), question],
          env: { FOSSILREPO_REMOTE: git.folder },
          accept: [1],
        });
        return code === 0 ? stdout : 'nothing';
      };
      return [
        await ask("Username for 'https://one.example:8443': "),
        await ask("Password for 'https://ann@one.example:8443': "),
        await ask("Password for 'https://ann%40example.org@one.example:8443': "),
        await ask("Password for 'https://ann@one.example': "),
        await ask("Password for 'https://ann@other.example': "),
        await ask("Password for 'http://ann@one.example:8443': "),
        await ask("Username for 'http://proxy.example:3128': "),
      ];
    });
    expect(answers).toEqual(['ann', token, token, 'nothing', 'nothing', 'nothing', 'nothing']);
  });

  test('HTTPS: with a certificate that is trusted, and with one that is not', async () => {
    const remote = await lab.bare('tls.git');
    await using https = await startGitHttp(lab.root, logins, { https: true });
    expect(await failure(push(byToken(https.url('tls.git'))))).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('could not prove with its certificate') as string,
    });
    expect(https.asked).toEqual([]);
    process.env['SSL_CERT_FILE'] = https.roots;
    try {
      expect(await push(byToken(https.url('tls.git')))).toMatchObject({ ok: true });
    } finally {
      delete process.env['SSL_CERT_FILE'];
    }
    expect(await lab.refs(remote)).toEqual({ [main]: a });
  });
});

describe('SSH', () => {
  const key = makeDeployKey('fossilrepo, mirror of x');
  const credential: Credential = { kind: 'key', ...key };
  const bySsh = async (path: string, with_: Credential | undefined = credential): Promise<Remote> => {
    const url = sshd.url(path);
    return { url, credential: with_, hostKeys: (await scanHostKeys({ run }, url)).text };
  };

  test('a deploy key is one to ssh-keygen, too', async () => {
    const file = join(lab.root, 'made-key');
    writeFileSync(file, key.privateKey.reveal(), { mode: 0o600 });
    const { stdout } = await run({ argv: ['ssh-keygen', '-y', '-f', file] });
    rmSync(file);
    expect(stdout.trim()).toBe(key.publicKey);
    expect(inspect(key)).not.toContain(key.privateKey.reveal().split('\n')[2]);
  });

  test('host keys are read with the fingerprints that ssh-keygen shows', async () => {
    const { keys, text } = await scanHostKeys({ run }, sshd.url('/x'));
    const file = join(lab.root, 'scanned');
    writeFileSync(file, text);
    const { stdout } = await run({ argv: ['ssh-keygen', '-l', '-f', file] });
    expect(keys).toMatchObject([{ type: 'ssh-ed25519' }]);
    expect(stdout).toContain(` ${keys[0]?.fingerprint} `);
    expect(await failure(scanHostKeys({ run }, 'ssh://git@127.0.0.1:1/x', { timeout: 4_000 }))).toMatchObject(
      {
        kind: 'unreachable',
      },
    );
  });

  test('a deploy key pushes once it is let in; one that may only read does not', async () => {
    const remote = await lab.bare('ssh.git');
    const address = await bySsh(remote);
    expect(await failure(push(address))).toMatchObject({ kind: 'credential' });
    sshd.authorize(key.publicKey);
    expect(await probe(address)).toEqual({ refs: new Map(), refused: undefined });
    slowly(remote, 1);
    const body = key.privateKey.reveal().split('\n')[3] ?? '';
    const { result, seen, looks } = await watched(body, () => push(address));
    expect(result).toMatchObject({ ok: true });
    expect(await lab.refs(remote)).toEqual({ [main]: a });
    expect(seen).toEqual([join(lab.root, 'tmp/FOLDER/key')]);
    expect(looks).toBeGreaterThan(10);
    expect(await failure(push(await bySsh(`${remote}-none`)))).toMatchObject({ kind: 'missing' });
    expect(await failure(push({ ...address, credential: undefined }))).toMatchObject({ kind: 'credential' });

    const reader = makeDeployKey('reader');
    sshd.authorize(reader.publicKey, 'read');
    const { refused } = await probe(await bySsh(remote, { kind: 'key', ...reader }));
    expect(refused).toMatchObject({ kind: 'credential' });
    expect(refused?.message).toContain('read only');
  });

  test('some megabytes in one push, by SSH and by HTTP, and what went over is counted', async () => {
    const key = makeDeployKey('large');
    sshd.authorize(key.publicKey);
    const large = await lab.commit(cache, 'large', { content: randomBytes(3_000_000).toString('base64') });
    const remotes: [string, Remote][] = [
      ['large-http.git', byToken(http.url('large-http.git'))],
      ['large-ssh.git', await bySsh(join(lab.root, 'large-ssh.git'), { kind: 'key', ...key })],
    ];
    for (const [name, remote] of remotes) {
      const folder = await lab.bare(name);
      const result = await push(remote, {}, cache, large);
      expect(result.error).toBeUndefined();
      expect(result.bytes).toBeGreaterThan(2_900_000);
      expect(result.bytes).toBeLessThan(4_200_000);
      expect(await lab.refs(folder)).toEqual({ [main]: large });
    }
  });

  test('an unknown and a changed host key: nothing is pushed', async () => {
    const remote = await lab.bare('keys.git');
    const address = await bySsh(remote);
    expect(await failure(push({ ...address, hostKeys: undefined }))).toMatchObject({ kind: 'host-key' });
    await sshd.changeHostKey();
    const error = await failure(push(address));
    expect(error).toMatchObject({ kind: 'host-key' });
    expect(error.message).toContain('another SSH host key than the one that was pinned');
    expect(await lab.refs(remote)).toEqual({});
    expect(await push(await bySsh(remote))).toMatchObject({ ok: true });
  });
});

describe('a remote that does not go on', () => {
  const limits = { ask: 2_000, quiet: 2_000, total: 20_000 };

  /** A failure, and that it came in time and left no process. */
  async function inTime(remote: Remote, within: number, options: Options = { limits }): Promise<RemoteError> {
    const begun = performance.now();
    const result = await push(remote, options).catch((error: unknown) => ({ error }));
    const took = performance.now() - begun;
    const { error } = result;
    if (!(error instanceof RemoteError)) throw new Error(`no RemoteError but ${String(error)}`);
    expect(took).toBeLessThan(within);
    await eventually(() => processesOf(join(lab.root, 'tmp')).length === 0, 1_000, 'nothing left');
    expect(readdirSync(lab.forge.paths.tmp)).toEqual([]);
    return error;
  }

  test('takes the connection and says nothing: HTTP and SSH', async () => {
    await using silent = await startSilent();
    const url = `127.0.0.1:${silent.port}/x.git`;
    expect(await inTime(byToken(`http://${url}`), 6_000)).toMatchObject({ kind: 'timeout' });
    const key: Credential = { kind: 'key', ...makeDeployKey('x') };
    expect(await inTime({ url: `ssh://git@${url}`, credential: key, hostKeys: '' }, 6_000)).toMatchObject({
      kind: 'timeout',
    });
    expect(await failure(scanHostKeys({ run }, `ssh://git@${url}`, { timeout: 2_000 }))).toMatchObject({
      kind: 'timeout',
    });
  });

  test('lets in and then says nothing: SSH', async () => {
    const key = makeDeployKey('hangs');
    sshd.authorize(key.publicKey, 'hang');
    const url = sshd.url(join(lab.root, 'ssh.git'));
    const { text } = await scanHostKeys({ run }, url);
    const remote: Remote = { url, credential: { kind: 'key', ...key }, hostKeys: text };
    expect(await inTime(remote, 6_000)).toMatchObject({ kind: 'timeout' });
  });

  test('takes the objects and then says nothing: HTTP, SSH and a path', async () => {
    const key = makeDeployKey('slow');
    sshd.authorize(key.publicKey);
    for (const name of ['slow-http.git', 'slow-ssh.git', 'slow-path.git']) slowly(await lab.bare(name), 30);
    const url = sshd.url(join(lab.root, 'slow-ssh.git'));
    const { text } = await scanHostKeys({ run }, url);
    const remotes: Remote[] = [
      byToken(http.url('slow-http.git')),
      { url, credential: { kind: 'key', ...key }, hostKeys: text },
      { url: join(lab.root, 'slow-path.git'), credential: undefined, hostKeys: undefined },
    ];
    for (const remote of remotes) expect(await inTime(remote, 12_000)).toMatchObject({ kind: 'timeout' });
  });

  test('is given up when the work is stopped', async () => {
    slowly(await lab.bare('stopped.git'), 30);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 1_000);
    const error = await inTime(byToken(http.url('stopped.git')), 6_000, { signal: stop.signal });
    expect(error.message).toContain('the work was stopped');
  });

  test('is not there at all', async () => {
    expect(await inTime(byToken('http://127.0.0.1:1/x.git'), 4_000)).toMatchObject({ kind: 'unreachable' });
    expect(
      await inTime({ url: 'ssh://git@127.0.0.1:1/x', credential: undefined, hostKeys: '' }, 4_000),
    ).toMatchObject({ kind: 'unreachable' });
    expect(
      await inTime({ url: '/nowhere/x.git', credential: undefined, hostKeys: undefined }, 4_000),
    ).toMatchObject({ kind: 'missing' });
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { messageOf } from '../../src/errors.ts';
import { withLock } from '../../src/system/locks.ts';
import { type Person, newPerson, type Shown } from './client.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { measured, processesOf } from './processes.ts';
import { query } from './support/fossil-lab.ts';
import { startSilent } from './support/git-servers.ts';

let forge: TestForge;
let someone: Person;
let token: string;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

type Listed = {
  mirrors: {
    repository: string;
    name: string;
    ok: boolean | null;
    behind: number | null;
    refsBehind: number | null;
    error: string | null;
    nextTry: string | null;
    lastTry: string | null;
    rewound: { at: string; to: string } | null;
  }[];
};
type Synced = {
  results: { repository: string; mirror: string; ok: boolean; pushed: number; error: string | null }[];
};

/** Runs a program as the server's user. @returns what it said */
function must(...argv: string[]): string {
  const [file = '', ...args] = [...asForgesUser(), ...argv];
  return execFileSync(file, args, {
    encoding: 'utf8',
    cwd: forge.root,
    env: { ...process.env, HOME: forge.root },
  }).trim();
}
const git = (folder: string, ...args: string[]): string => must('git', '-C', folder, ...args);

/** A bare repository that belongs to the server's user. @returns its folder */
function remote(name: string): string {
  const folder = join(forge.root, 'remotes', `${name}.git`);
  must('mkdir', '-p', join(forge.root, 'remotes'));
  must('git', 'init', '-q', '--bare', folder);
  return folder;
}

const refs = (folder: string): Record<string, string> =>
  Object.fromEntries(
    git(folder, 'for-each-ref', '--format=%(refname) %(objectname)')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  );
const origins = (folder: string, ref = 'main'): string[] =>
  [...git(folder, 'log', '--format=%B', ref).matchAll(/^FossilOrigin-Name: (\S+)$/gm)].map(([, hash]) =>
    String(hash),
  );

const create = (name: string) => forge.json<Shown>('repo', 'create', name);
const checkout = ({ cloneUrl }: Shown) => someone.checkout(cloneUrl, `admin:${token}`);
const mirrorOf = async (repository: string, name: string) => {
  const { mirrors } = await forge.json<Listed>('mirror', 'list', repository);
  const found = mirrors.find((one) => one.name === name);
  if (!found) throw new Error(`no mirror ${name}`);
  return found;
};
const isCurrent = async (repository: string, name: string) => {
  const { ok, behind } = await mirrorOf(repository, name);
  return ok === true && behind === 0;
};
/** Somebody pushes one check-in. @returns its hash */
async function push(folder: string, file: string, ...to: string[]): Promise<string> {
  const hash = await someone.commit(folder, file, `${file}\n`);
  expect(await someone.push(folder, ...to)).toBe(true);
  return hash;
}

describe('a mirror in a folder', () => {
  let folder: string;
  let there: string;

  test('is tried before it is kept, and says what would be pushed', async () => {
    folder = await checkout(await create('demo'));
    await push(folder, 'one.txt');
    const wrong = await forge.cli('mirror', 'add', 'demo', join(forge.root, 'remotes/none.git'));
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('has no such repository');
    there = remote('demo');
    must('chmod', '-R', 'a-w', join(there, 'objects'));
    const closed = await forge.cli('mirror', 'add', 'demo', there);
    expect(closed.code).toBe(1);
    expect(closed.stderr).toContain('Give this user the right to write there.');
    must('chmod', '-R', 'u+w', join(there, 'objects'));
    const dry = await forge.cli('mirror', 'add', 'demo', there, '--dry-run');
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stderr).toContain('1 branch, 2 commits');
    expect(await forge.json('mirror', 'list')).toEqual({ mirrors: [] });
    expect(refs(there)).toEqual({});
    const added = await forge.cli('mirror', 'add', 'demo', there, '--name', 'folder');
    expect(added.code, added.stderr).toBe(0);
    expect(added.stdout).toBe(`demo is mirrored to folder: ${there}\n`);
  });

  test('gets what was there, and what is pushed within a minute, by itself', async () => {
    await eventually(() => isCurrent('demo', 'folder'), 60_000, 'the first push');
    expect(Object.keys(refs(there))).toEqual(['refs/heads/main']);
    expect(git(there, 'symbolic-ref', 'HEAD')).toBe('refs/heads/main');
    for (const file of ['two.txt', 'three.txt']) {
      const hash = await push(folder, file);
      const took = await eventually(() => origins(there)[0] === hash, 60_000, 'the push arrives');
      measured(`a push was on its mirror after ${Math.round(took / 100) / 10} s`);
    }
    expect(git(there, 'show', 'main:three.txt')).toBe('three.txt');
    await eventually(() => isCurrent('demo', 'folder'), 10_000, 'known to be current');
  });

  test('is seen at work by whoever is at the terminal; into a pipe and as JSON there are results alone', async () => {
    /** @returns what is on the screen */
    const watched = async (...args: string[]): Promise<string> => {
      await using terminal = forge.person(...args);
      const { code, screen } = await terminal.ended();
      expect(code, screen).toBe(0);
      return screen.replaceAll('\r\n', '\n');
    };
    const result = '- demo to folder: up to date\n';
    expect(await watched('sync', 'demo')).toBe(`demo to folder: at work\n${result}`);
    expect(await forge.cli('sync', 'demo')).toEqual({ code: 0, stdout: result, stderr: '' });
    const alone = await forge.json('sync', 'demo');
    expect(await watched('--json', 'sync', 'demo', '>said.json')).toBe(`demo to folder: at work\n${result}`);
    expect(JSON.parse(readFileSync(join(forge.root, 'said.json'), 'utf8'))).toEqual(alone);
    expect(await watched('sync', 'demo', '>said.txt')).toBe(`demo to folder: at work\n${result}`);
    expect(readFileSync(join(forge.root, 'said.txt'), 'utf8')).toBe(result);

    await forge.json('repo', 'create', 'follower', '--from', there);
    const followed = `follower from ${there}`;
    expect(await watched('sync', 'follower')).toBe(`${followed}: at work\n- ${followed}: nothing new\n`);
    await forge.json('repo', 'delete', 'follower', '--yes');
  });

  test('is equal by a comparison of its own; what is broken there is found', async () => {
    const said = await forge.cli('mirror', 'verify', 'demo');
    expect(said.code, said.stdout + said.stderr).toBe(0);
    expect(said.stdout).toContain('ok  demo: 4 check-ins');
    const main = refs(there)['refs/heads/main'] ?? '';
    git(there, 'update-ref', 'refs/heads/main', git(there, 'rev-parse', 'main^'));
    const bad = await forge.cli('mirror', 'verify', 'demo');
    expect(bad.code).toBe(4);
    expect(bad.stdout).toContain('refs/heads/main is');
    const status = await forge.cli('status');
    expect(status.code).toBe(4);
    expect(status.stdout).toContain('The mirror folder of demo is not what it should be');
    // Asked by name, it is compared with the remote, though nothing changed here.
    const synced = await forge.json<Synced>('sync', 'demo');
    expect(synced.results).toMatchObject([{ repository: 'demo', mirror: 'folder', ok: true, error: null }]);
    expect(refs(there)['refs/heads/main']).toBe(main);
    // What it found has healed: the sample would say so in a week only.
    const healed = await forge.cli('status');
    expect(healed.code, healed.stdout).toBe(0);
    expect((await forge.cli('mirror', 'verify', '--sample', '3')).code).toBe(0);
    expect((await forge.cli('status')).code).toBe(0);
  });

  test('nothing to do is said, and there is one mirror of a kind', async () => {
    // What is written right after a push, as by the replica, is looked at first.
    const nothing = async () => isDeepStrictEqual(await forge.json('sync'), { pulled: [], results: [] });
    await eventually(nothing, 60_000, 'there is nothing to do');
    expect((await forge.cli('sync')).stdout).toBe('nothing to do: mirrors up to date: 1\n');
    await create('other');
    for (const [repository, ...args] of [
      ['other', there],
      ['demo', there, '--name', 'second'],
      // However it is written.
      ['other', `file://${there}/`],
      ['other', `${there}/../${basename(there)}`],
    ] as const) {
      const said = await forge.cli('mirror', 'add', repository, ...args);
      expect(said.code).toBe(2);
      expect(said.stderr).toContain('is the mirror folder of demo already');
    }
    expect((await forge.cli('sync', 'other')).code).toBe(2);
    expect((await forge.cli('mirror', 'show', 'demo', 'none')).stderr).toContain('It has: folder');
  });

  test('commits of others are named, and stay until they may be overwritten', async () => {
    const clone = join(forge.root, 'remotes/clone');
    must('git', 'clone', '-q', there, clone);
    git(
      clone,
      '-c',
      'user.name=Eve',
      '-c',
      'user.email=e@x',
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      'a stranger',
    );
    git(clone, 'push', '-q', 'origin', 'HEAD:main', 'HEAD:theirs');
    const foreign = refs(there)['refs/heads/main'];
    // Whoever finds them first: it is the same failure, and no worse for a verification.
    const verified = await forge.cli('mirror', 'verify', 'demo');
    expect(verified.code, verified.stdout).toBe(4);
    expect(verified.stdout).toContain('refs/heads/main is');
    await eventually(async () => (await mirrorOf('demo', 'folder')).ok === false, 60_000, 'it is told');
    const yellow = await forge.cli('status');
    expect(yellow.code, yellow.stdout).toBe(0);
    const hash = await push(folder, 'four.txt');
    await eventually(async () => (await mirrorOf('demo', 'folder')).ok === false, 60_000, 'it is found');
    expect((await mirrorOf('demo', 'folder')).error).toContain('not pushed from here');
    expect((await mirrorOf('demo', 'folder')).error).toMatch(/one foreign commit: \w{10} Eve: a stranger/);
    expect(refs(there)['refs/heads/main']).toBe(foreign);
    // What is pushed to another branch goes there at once, however far away the next try is.
    const wait = `UPDATE mirror SET next_try_at = ${Date.now() + 3_000_000} WHERE name = 'folder' RETURNING 1`;
    expect(query(join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'), wait)).toHaveLength(1);
    const beside = ['commit', '--allow-empty', '--branch', 'beside', '--no-warnings', '-m', 'beside'];
    expect((await someone.fossil(folder, ...beside)).code).toBe(0);
    expect(await someone.push(folder)).toBe(true);
    await eventually(() => 'refs/heads/beside' in refs(there), 60_000, 'the other branch arrives');
    expect((await someone.fossil(folder, 'update', 'trunk')).code).toBe(0);
    await eventually(
      async () => (await mirrorOf('demo', 'folder')).ok === false,
      60_000,
      'main is still refused',
    );
    expect(refs(there)['refs/heads/main']).toBe(foreign);
    const status = await forge.cli('status');
    expect(status.code, status.stdout).toBe(0);
    expect(status.stdout).toMatch(/^● It works/);
    expect(status.stdout).toContain('Not mirrored: demo to folder');
    expect(status.stdout).toContain('mirror: demo is not mirrored to folder');
    // In the log of one part, once.
    const told = () => forge.log().match(/demo is not mirrored to folder/g)?.length ?? 0;
    await eventually(() => told() > 0, 10_000, 'it is in the log');
    expect(told()).toBe(1);
    const again = await forge.cli('mirror', 'add', 'demo', there, '--name', 'folder', '--dry-run');
    expect(again.code).toBe(4);
    expect(again.stderr).toContain('Eve: a stranger');
    const set = await forge.cli('mirror', 'configure', 'demo', '--on-divergence', 'overwrite');
    expect(set.code, set.stderr).toBe(0);
    await eventually(() => origins(there)[0] === hash, 60_000, 'it is overwritten');
    expect(refs(there)['refs/heads/theirs']).toBe(foreign);
    await eventually(() => isCurrent('demo', 'folder'), 10_000, 'current again');
    expect((await forge.cli('status')).stdout).toContain('demo is mirrored to folder again');
    const { runs } = await forge.json<{ runs: object[] }>('mirror', 'log', 'demo', 'folder', '--since', '1h');
    const moved = {
      ref: 'refs/heads/main',
      from: expect.any(String) as string,
      to: refs(there)['refs/heads/main'],
    };
    const log = { repository: 'demo', mirror: 'folder', part: 'code' };
    expect(runs[0]).toMatchObject({ ...log, error: null, refs: [moved], pushed: 1 });
    expect(runs).toContainEqual(
      expect.objectContaining({
        ...log,
        why: 'push',
        error: expect.stringContaining('not pushed') as string,
      }),
    );
    const listed = await forge.cli('mirror', 'log');
    expect(listed.stdout).toMatch(/demo +folder +code +push +main +1 ref, 1 commit, \S+ k?B in /);
    const show = await forge.cli('mirror', 'show', 'demo');
    expect(show.stdout).toContain('on divergence   overwrite');
    expect(show.stdout).toContain('not pushed from here');
    const lost = /demo overwrote at folder: refs\/heads\/main \(one foreign commit: \w{10} Eve: a stranger\)/;
    expect((await forge.cli('status')).stdout).toMatch(lost);
  });

  test('what others put in the place of ours without any push here is put back and told; kept, it is told by verify', async () => {
    const clone = join(forge.root, 'remotes/clone');
    const ours = refs(there)['refs/heads/main'];
    git(clone, 'push', '-q', '--force', 'origin', 'HEAD:main');
    const put = await forge.cli('sync', 'demo');
    expect(put.stdout).toMatch(/1 ref.*; overwrote refs\/heads\/main \(one foreign commit/);
    expect(refs(there)['refs/heads/main']).toBe(ours);
    const runs = await forge.cli('mirror', 'show', 'demo');
    expect(runs.stdout).toContain('1 ref');

    await forge.json('mirror', 'configure', 'demo', '--on-divergence', 'keep');
    git(clone, 'push', '-q', '--force', 'origin', 'HEAD:main');
    expect((await forge.cli('sync', 'demo')).code).toBe(0);
    const verified = await forge.cli('mirror', 'verify', 'demo');
    expect(verified.code, verified.stdout).toBe(0);
    expect(verified.stdout).toContain('as others left them there: refs/heads/main');
    // Once from here or never: who looks may want to delete it.
    expect(verified.stdout).toContain('not from here now: refs/heads/theirs\n');
    type Verified = { ok: boolean; results: { mirrors: { extra: string[] }[] }[] };
    expect(await forge.json<Verified>('mirror', 'verify', 'demo')).toMatchObject({
      ...{ ok: true, results: [{ mirrors: [{ extra: ['refs/heads/theirs'] }] }] },
    });
    const lost = Object.keys(refs(there)).find((ref) => !/main|theirs/.test(ref));
    if (lost !== undefined) {
      const at = refs(there)[lost] ?? '';
      must('git', `--git-dir=${there}`, '-c', 'safe.directory=*', 'update-ref', '-d', lost);
      const missing = await forge.cli('mirror', 'verify', 'demo');
      expect(missing.code).toBe(4);
      expect(missing.stdout).toContain(`${lost} is missing there`);
      must('git', `--git-dir=${there}`, '-c', 'safe.directory=*', 'update-ref', lost, at);
    }
    await forge.json('mirror', 'configure', 'demo', '--on-divergence', 'overwrite');
    await forge.json('sync', 'demo');
    expect(refs(there)['refs/heads/main']).toBe(ours);
    expect((await forge.cli('mirror', 'verify', 'demo')).code).toBe(0);
  });

  test('another repository that is put in its place is pushed nowhere', async () => {
    const secret = await create('secret');
    await push(await checkout(secret), 'secret.txt');
    await eventually(() => isCurrent('demo', 'folder'), 60_000, 'it is current');
    const { path } = await forge.json<Shown>('repo', 'show', 'demo');
    const before = refs(there);
    // Else it is moved away within moments.
    const goOn = await pauseManagement(forge);
    const litestream = forge.pidOf('replication');
    // It reads what lies under the name, and goes on from there.
    process.kill(litestream, 'SIGSTOP');
    // With its logs: another's would be read into it.
    const logs = ['', '-wal', '-shm'].filter((log) => existsSync(path + log));
    for (const log of logs) must('mv', path + log, `${path}.kept${log}`);
    const without = await forge.cli('sync', 'demo');
    expect(without.code).toBe(1);
    expect(without.stdout).toContain('demo to folder: The file of demo is not there');
    must('cp', secret.path, path);
    try {
      const said = await forge.cli('sync', 'demo');
      expect(said.code, said.stdout).toBe(1);
      expect(said.stdout + said.stderr).toContain('Another repository was put in the place of demo');
      const dry = await forge.cli('sync', 'demo', '--dry-run');
      expect(dry.code).toBe(1);
      expect(dry.stdout).toContain('demo to folder: Another repository was put');
      expect(refs(there)).toEqual(before);
    } finally {
      must('rm', '-f', path, `${path}-wal`, `${path}-shm`);
      for (const log of logs) must('mv', `${path}.kept${log}`, path + log);
      process.kill(litestream, 'SIGCONT');
      goOn();
    }
    const again = await forge.cli('sync', 'demo');
    expect(again.code, again.stdout).toBe(0);
  });

  test('goes back with a restore, forward with its undo, and says so', async () => {
    await sleep(2_000);
    const before = refs(there)['refs/heads/main'];
    const at = new Date().toISOString();
    await sleep(2_000);
    const later = await push(folder, 'five.txt');
    await eventually(() => origins(there)[0] === later, 60_000, 'five arrives');
    expect((await forge.cli('mirror', 'configure', 'demo', '--on-divergence', 'refuse')).code).toBe(0);
    const restored = await forge.cli('restore', 'demo', '--at', at, '--yes');
    expect(restored.code, restored.stderr).toBe(0);
    await eventually(() => refs(there)['refs/heads/main'] === before, 60_000, 'the mirror is rewound');
    await eventually(async () => (await mirrorOf('demo', 'folder')).rewound !== null, 10_000, 'it is known');
    expect((await forge.cli('mirror', 'show', 'demo')).stdout).toContain('rewound         by a restore at');
    const undone = await forge.cli('restore', 'demo', '--undo', '--yes');
    expect(undone.code, undone.stderr).toBe(0);
    await eventually(() => origins(there)[0] === later, 60_000, 'it is forward again');
    expect((await forge.cli('mirror', 'verify', 'demo')).code).toBe(0);
  });

  test('what is shunned goes from it, which is told with what was there', async () => {
    const { path } = await forge.json<Shown>('repo', 'show', 'demo');
    const [tip = ''] = origins(there);
    const commit = refs(there)['refs/heads/main'] ?? '';
    using database = new DatabaseSync(path, { timeout: 15_000 });
    database.exec(`INSERT INTO shun(uuid, mtime) VALUES ('${tip}', 1)`);
    await eventually(() => refs(there)['refs/heads/main'] !== commit, 60_000, 'it is gone');
    await eventually(() => forge.log().includes(`main was ${commit} there`), 60_000, 'it is told');
    database.exec('DELETE FROM shun');
    await eventually(() => refs(there)['refs/heads/main'] === commit, 60_000, 'it is back');
  });

  test('calls its main branch otherwise when it is told so, and a clone checks that out', async () => {
    const main = refs(there)['refs/heads/main'];
    expect(git(there, 'symbolic-ref', 'HEAD')).toBe('refs/heads/main');
    for (const [name, former] of [
      ['master', 'main'],
      ['main', 'master'],
    ] as const) {
      await forge.json('mirror', 'configure', 'demo', '--main', name);
      // The server may be at it already.
      await eventually(async () => (await forge.cli('sync', 'demo')).code === 0, 60_000, `it is ${name}`);
      expect(refs(there)).toMatchObject({ [`refs/heads/${name}`]: main });
      expect(refs(there)).not.toHaveProperty([`refs/heads/${former}`]);
      expect(git(there, 'symbolic-ref', 'HEAD')).toBe(`refs/heads/${name}`);
    }
  });

  test('follows through rename, delete and undelete, and is forgotten by a purge', async () => {
    expect((await forge.cli('repo', 'rename', 'demo', 'renamed')).code).toBe(0);
    const { id, cloneUrl } = await forge.json<Shown>('repo', 'show', 'renamed');
    const address = cloneUrl.replace('://', `://admin:${token}@`);
    const hash = await push(folder, 'six.txt', address, '--once');
    // A sync that met the rename is tried again a minute later.
    await eventually(() => origins(there)[0] === hash, 120_000, 'six arrives');
    await forge.json('repo', 'delete', 'renamed', '--yes');
    expect(await forge.json('mirror', 'list')).toEqual({ mirrors: [] });
    expect(await forge.json('sync')).toEqual({ pulled: [], results: [] });
    await forge.json('repo', 'undelete', 'renamed');
    const last = await push(folder, 'seven.txt', address, '--once');
    await eventually(() => origins(there)[0] === last, 60_000, 'seven arrives');
    const cache = join(forge.root, 'var/lib/fossilrepo/mirror', id);
    expect(existsSync(cache)).toBe(true);
    await forge.json('repo', 'delete', 'renamed', '--yes');
    await forge.json('repo', 'purge', 'renamed', '--yes');
    expect(existsSync(cache)).toBe(false);
    expect(origins(there)[0]).toBe(last);
    // Its place is free for another.
    expect((await forge.cli('mirror', 'add', 'other', there, '--on-divergence', 'overwrite')).code).toBe(0);
    expect((await forge.cli('mirror', 'remove', 'other', 'folder', '--yes')).code).toBe(0);
  });
});

describe('two mirrors of one repository', () => {
  /** A repository with two mirrors in folders, both brought there. @returns somebody's checkout of it, and the folders */
  async function followedTwice(
    repository: string,
    ...names: [string, string]
  ): Promise<{ folder: string; there: [string, string] }> {
    const folder = await checkout(await create(repository));
    const there: [string, string] = [remote(names[0]), remote(names[1])];
    for (const [index, name] of names.entries()) {
      const said = await forge.cli('mirror', 'add', repository, there[index] ?? '', '--name', name);
      expect(said.code, said.stderr).toBe(0);
    }
    for (const name of names) await eventually(() => isCurrent(repository, name), 60_000, `${name} is there`);
    return { folder, there };
  }

  test('one that says nothing keeps no later push from the other', async () => {
    await using silent = await startSilent();
    const { folder, there } = await followedTwice('patient', 'quick', 'mute');
    const [quick, mute] = there;
    const moved = query(
      join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
      `UPDATE mirror SET url = 'http://127.0.0.1:${silent.port}/x.git' WHERE url = '${mute}' RETURNING 1`,
    );
    expect(moved).toHaveLength(1);
    for (const name of ['one.txt', 'two.txt']) {
      const hash = await push(folder, name);
      await eventually(() => origins(quick)[0] === hash, 40_000, `${name} arrives at the other`);
    }
    // It is still waited for.
    expect((await mirrorOf('patient', 'mute')).ok).not.toBe(false);
  });

  test('an upstream that says nothing in the middle of a pull keeps no push from any mirror, nor another upstream from being asked', async () => {
    await using silent = await startSilent({ polite: true });
    await using other = await startSilent({ polite: true });
    const { folder, there } = await followedTwice('steady', 'left', 'right');
    const follow = async (name: string, { port }: { port: number }) => {
      const { id } = await create(name);
      query(
        join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
        `INSERT INTO upstream(id, repository, kind, url, every_ms, created_at, failures)
         VALUES ('up-${name}', '${id}', 'fossil', 'http://localhost:${port}/x', 900000, ${Date.now()}, 0) RETURNING 1`,
      );
    };
    await follow('following', silent);
    await eventually(() => silent.kept() > 0, 60_000, 'the pull has begun');
    const hash = await push(folder, 'meanwhile.txt');
    for (const one of there) await eventually(() => origins(one)[0] === hash, 60_000, 'it arrives');
    // It falls due while the other is waited for.
    await follow('second', other);
    await eventually(() => other.kept() > 0, 60_000, 'the other pull has begun');
    // That one is waited for all the same.
    const { upstream } = await forge.json<{ upstream: object }>('upstream', 'show', 'following');
    expect(upstream).toMatchObject({ lastTry: null, error: null });
    const gone = "DELETE FROM upstream WHERE id LIKE 'up-%' RETURNING 1";
    expect(query(join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'), gone)).toHaveLength(2);
  });

  test('one that is down holds up neither the other nor a push; it is tried again, and when asked', async () => {
    const { folder, there } = await followedTwice('two', 'up', 'down');
    const [up, down] = there;
    renameSync(down, `${down}.away`);
    // A tag is no check-in, and is waited for all the same.
    const tagged = await someone.fossil(folder, 'tag', 'add', '--user-override', 'admin', 'v1', 'trunk');
    expect(tagged.code, tagged.stderr).toBe(0);
    expect(await someone.push(folder)).toBe(true);
    await eventually(() => 'refs/tags/v1' in refs(up), 60_000, 'the other one gets it');
    await eventually(async () => (await mirrorOf('two', 'down')).ok === false, 60_000, 'it is told');
    const failed = await mirrorOf('two', 'down');
    expect(failed).toMatchObject({ ok: false, behind: 0, refsBehind: 1 });
    expect((await forge.cli('mirror', 'list')).stdout).toMatch(/two +down +failing .* 1 ref +in \d/);
    const pause = Date.parse(failed.nextTry ?? '') - Date.parse(failed.lastTry ?? '');
    expect(pause).toBeGreaterThanOrEqual(60_000);
    expect(pause).toBeLessThan(80_000);
    const hash = await push(folder, 'one.txt');
    expect(await mirrorOf('two', 'down')).toMatchObject({ behind: 1, refsBehind: 2 });
    // Asked by hand it is tried at once; the next pause is longer.
    const said = await forge.cli('--json', 'sync', 'two');
    expect(said.code, said.stderr).toBe(6);
    const { results } = JSON.parse(said.stdout) as Synced;
    expect(Object.fromEntries(results.map(({ mirror, ok }) => [mirror, ok]))).toEqual({
      up: true,
      down: false,
    });
    const twice = await mirrorOf('two', 'down');
    expect(Date.parse(twice.nextTry ?? '') - Date.parse(twice.lastTry ?? '')).toBeGreaterThanOrEqual(300_000);
    const list = await forge.cli('mirror', 'list');
    expect(list.stdout).toMatch(/two +down +failing .* 1 +in \d/);
    const status = await forge.json<{ mirrors: { failing: number; failures: object[] } }>('status');
    const failure = { repository: 'two', mirror: 'down', behind: 1, nextTry: twice.nextTry };
    expect(status.mirrors.failures).toContainEqual(expect.objectContaining(failure));
    expect(status.mirrors.failing).toBe(status.mirrors.failures.length);
    const told = (await forge.cli('status')).stdout;
    expect(told).toMatch(/Last success \S+ ago, 1 check-in behind; it is tried again in \d/);
    renameSync(`${down}.away`, down);
    const again = await forge.json<Synced>('sync', 'two');
    expect(again.results.find(({ mirror }) => mirror === 'down')).toMatchObject({ ok: true });
    expect(origins(down)[0]).toBe(hash);
    expect(refs(down)).toEqual(refs(up));
  });

  test('one that can not be asked keeps no other from being verified, and is not said to have been', async () => {
    // Whatever else there is has had its turn.
    await forge.cli('mirror', 'verify');
    for (const name of ['absent', 'present']) {
      const folder = remote(name);
      await create(name);
      await forge.json('mirror', 'add', name, folder, '--name', 'there');
      await eventually(() => isCurrent(name, 'there'), 60_000, `${name} is there`);
    }
    const away = join(forge.root, 'remotes/absent.git');
    renameSync(away, `${away}.away`);
    const sampled = async () => {
      const { code, stdout } = await forge.cli('--json', 'mirror', 'verify', '--sample', '1');
      const { results } = JSON.parse(stdout) as { results: { repository: string }[] };
      return [code, ...results.map(({ repository }) => repository)];
    };
    expect([await sampled(), await sampled()]).toEqual([
      [1, 'absent'],
      [0, 'present'],
    ]);
    const verified = async (name: string) =>
      (await forge.json<{ mirror: { verified: object | null } }>('mirror', 'show', name, 'there')).mirror
        .verified;
    expect(await verified('absent')).toBeNull();
    expect(await verified('present')).toMatchObject({ ok: true });
    for (const name of ['absent', 'present']) await forge.json('mirror', 'remove', name, 'there', '--yes');
  });

  test('only the branches that were asked for, under the name that was, or one that Git can hold', async () => {
    const folder = await checkout(await create('some'));
    // As Git can hold them, and as it can't: not at all, not beside one another, not beside the name that trunk has there.
    const made = ['release-1', 'Wild thing', 'foo', 'foo/bar', 'x.lock', 'main', 'Case', 'case'];
    const hashes = new Map<string, string>();
    for (const name of made) {
      const commit = ['commit', '--allow-empty', '--branch', name, '--no-warnings', '-m', name];
      const said = await someone.fossil(folder, ...commit);
      hashes.set(name, /New_Version: (\S+)/.exec(said.stdout)?.[1] ?? '');
    }
    expect(await someone.push(folder)).toBe(true);
    const [part, all] = [remote('part'), remote('all')];
    await forge.json(
      'mirror',
      'add',
      'some',
      part,
      '--name',
      'part',
      '--main',
      'master',
      '--branches',
      'trunk,release-*',
    );
    await forge.json('mirror', 'add', 'some', all, '--name', 'all');
    await eventually(
      async () => (await isCurrent('some', 'part')) && (await isCurrent('some', 'all')),
      60_000,
      'both are there',
    );
    expect(Object.keys(refs(part))).toEqual(['refs/heads/master', 'refs/heads/release-1']);
    const there = Object.keys(refs(all)).map((ref) => ref.replace('refs/heads/', ''));
    expect(there).toHaveLength(1 + made.length);
    const show = await forge.cli('mirror', 'show', 'some', 'all');
    const named = [...show.stdout.matchAll(/^renamed +branch (.+) is (\S+) there$/gm)];
    const renamed = new Map(named.map(([, name, ref]) => [name, ref]));
    expect([...renamed.keys()].toSorted()).toEqual(['Wild thing', 'case', 'foo/bar', 'main', 'x.lock']);
    expect(renamed.get('Wild thing')).toMatch(/^Wild-thing-[0-9a-f]{8}$/);
    expect(there).toContain('main');
    expect(new Set(there.map((ref) => ref.toLowerCase())).size).toBe(there.length);
    for (const name of made) expect(origins(all, renamed.get(name) ?? name)[0], name).toBe(hashes.get(name));
    expect((await forge.cli('mirror', 'verify', 'some')).code).toBe(0);
    await forge.json('mirror', 'configure', 'some', 'part', '--branches', '*');
    await eventually(() => Object.keys(refs(part)).length === there.length, 60_000, 'the others, too');
  });

  test('a pattern that means no branch is refused; what other branches would take away is told, and asked', async () => {
    const [typo, early] = [remote('typo'), remote('early')];
    const refused = await forge.cli(
      'mirror',
      'add',
      'some',
      typo,
      '--name',
      'typo',
      '--branches',
      'trnk,case',
    );
    expect(refused.code, refused.stdout).toBe(2);
    expect(refused.stderr).toContain('trnk matches no branch of some.');
    expect(refused.stderr).toMatch(/some has (.+, ){4}.+ and 4 more/);
    expect(refused.stderr).toContain('trunk for what is called main there');
    const { mirrors } = await forge.json<Listed>('mirror', 'list', 'some');
    expect(mirrors.map(({ name }) => name).toSorted()).toEqual(['all', 'part']);

    const all = join(forge.root, 'remotes/all.git');
    const before = refs(all);
    const configure = (...flags: string[]) => forge.cli('mirror', 'configure', 'some', 'all', ...flags);
    const branches = async () =>
      (await forge.json<{ mirror: { branches: string | null } }>('mirror', 'show', 'some', 'all')).mirror
        .branches;
    for (const wrong of ['master', 'trunk,master', 'relaese-*']) {
      const said = await configure('--branches', wrong, '--yes');
      expect(said.code, wrong).toBe(2);
      expect(said.stderr).toContain(`${wrong.replace('trunk,', '')} matches no branch of some.`);
    }
    const toCome = await configure('--branches', 'trunk,later-*', '--dry-run');
    expect(toCome.code, toCome.stderr).toBe(0);
    expect(toCome.stderr).toContain('later-* matches no branch of some yet.');
    const gone = Object.keys(before).filter((ref) => !/\/(main|release-1)$/.test(ref));
    const narrow = ['--branches', 'trunk,release-*'];
    const dry = await configure(...narrow, '--dry-run');
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stderr).toContain(`The next sync takes ${gone.length} branches away from ${all}:`);
    for (const ref of gone) expect(dry.stderr).toContain(`  ${ref}\n`);
    expect(dry.stderr).not.toMatch(/refs\/heads\/(main|release-1)$/m);
    expect(await forge.json('mirror', 'configure', 'some', 'all', ...narrow, '--dry-run')).toMatchObject({
      gone,
    });
    const unasked = await configure(...narrow);
    expect(unasked.code, unasked.stdout).toBe(2);
    expect(unasked.stderr).toContain('This needs a yes.');
    await using person = forge.person('mirror', 'configure', 'some', 'all', ...narrow);
    await person.answers('Leave these out of all?', 'n\r');
    expect((await person.ended()).code).toBe(130);
    const again = await forge.cli('mirror', 'add', 'some', all, '--name', 'all', ...narrow);
    expect(again.code, again.stdout).toBe(2);
    expect(again.stderr).toContain('This needs a yes.');
    expect(await branches()).toBeNull();
    expect(refs(all)).toEqual(before);

    const agreed = await configure(...narrow, '--yes');
    expect(agreed.code, agreed.stderr).toBe(0);
    await eventually(() => Object.keys(refs(all)).length === 2, 60_000, 'the others are gone');
    // More of them take nothing away: nobody is asked.
    await forge.json('mirror', 'configure', 'some', 'all', '--branches', 'trunk,release-*,case');

    // Of one with nothing in it yet nobody knows what its branches will be.
    await create('early');
    const said = await forge.cli('mirror', 'add', 'early', early, ...narrow);
    expect(said.code, said.stderr).toBe(0);
    expect(said.stderr).toContain('release-* matches no branch of early yet.');
  });
});

describe('what an operator types', () => {
  test.each([
    [['mirror', 'add', 'two', 'not an address'], 'no address of a Git remote'],
    [['mirror', 'add', 'none', '/srv/x.git'], 'There is no repository none'],
    [['mirror', 'add', 'two', '/srv/x.git', '--deploy-key'], 'A deploy key is for SSH'],
    [['mirror', 'add', 'two', '/srv/x.git', '--schedule', 'often'], 'is no schedule'],
    [['mirror', 'add', 'two', '/srv/x.git', '--main', 'a..b'], "can't call a branch"],
    [['mirror', 'add', 'two', '/srv/x.git', '--name', 'A B'], "can't be called"],
    [['sync', 'two', '--due'], 'Name repositories, or say --due'],
    [['sync', 'none'], 'There is no repository none'],
    [['sync', '--deadline', 'soon'], 'Write it like 90s, 30m, 12h or 2d'],
  ])('%j is answered with what to do', async (args, words) => {
    const said = await forge.cli(...args);
    expect(said.code).not.toBe(0);
    expect(said.stderr).toContain(words);
    expect(said.stdout).toBe('');
  });

  test('a repository that is at work elsewhere is busy', async () => {
    const folder = remote('busy');
    await create('busy');
    await forge.json('mirror', 'add', 'busy', folder);
    await eventually(() => isCurrent('busy', 'folder'), 60_000, 'it is there');
    const hook = join(folder, 'hooks/pre-receive');
    must('sh', '-c', `printf '#!/bin/sh\\nsleep 5\\n' >${hook}; chmod 755 ${hook}`);
    git(folder, 'update-ref', '-d', 'refs/heads/main');
    const slow = forge.cli('sync', 'busy');
    await sleep(2_500);
    const said = await forge.cli('--json', 'sync', 'busy');
    expect(said.code, said.stdout).toBe(5);
    expect((JSON.parse(said.stdout) as Synced).results[0]?.error).toContain('Another fossilrepo is at work');
    expect((await slow).code).toBe(0);

    // Stopped in the middle, it leaves nothing at work, and the mirror is not blamed.
    must('sh', '-c', `printf '#!/bin/sh\\nsleep 30\\n' >${hook}`);
    git(folder, 'update-ref', '-d', 'refs/heads/main');
    const stopped = await forge.stopped(3_000, 'sync', 'busy');
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(processesOf(folder)).toEqual([]);
    expect(await mirrorOf('busy', 'folder')).toMatchObject({ ok: true, error: null });

    // So it does at its deadline, which is a failure, and the next run goes on.
    must('sh', '-c', `printf '#!/bin/sh\ntouch ${folder}/begun\nsleep 600\n' >${hook}`);
    const late = await forge.cli('--json', 'sync', 'busy', '--deadline', '5s');
    expect(late.code, late.stderr).toBe(1);
    expect(existsSync(join(folder, 'begun'))).toBe(true);
    const ended = 'It was ended at its deadline of 5s. Run fossilrepo sync again';
    expect((JSON.parse(late.stdout) as Synced).results[0]?.error).toContain(ended);
    expect(processesOf(folder)).toEqual([]);
    const failed = await mirrorOf('busy', 'folder');
    expect(failed).toMatchObject({ ok: false, error: expect.stringContaining(ended) as string });
    expect(refs(folder)).toEqual({});
    must('rm', hook);
    expect((await forge.cli('sync', 'busy')).code).toBe(0);
    expect(Object.keys(refs(folder))).toEqual(['refs/heads/main']);
  });
});

test('what can’t be looked at keeps no plan of another from a dry run', async () => {
  const there = Object.fromEntries(['held', 'broken', 'well'].map((name) => [name, remote(name)]));
  const ids: Record<string, string> = {};
  for (const [name, folder] of Object.entries(there)) {
    ids[name] = (await create(name)).id;
    await forge.json('mirror', 'add', name, folder);
  }
  for (const name of Object.keys(there))
    await eventually(() => isCurrent(name, 'folder'), 60_000, `${name} is there`);
  const side = join(forge.root, 'var/lib/fossilrepo/mirror', ids['broken'] ?? '');
  renameSync(side, `${side}.aside`);
  writeFileSync(side, '');
  try {
    const dry = (...args: string[]) =>
      withLock(pathsUnder(forge.root), `export-${ids['held'] ?? ''}`, 0, () =>
        forge.cli(...args, '--dry-run'),
      );
    const said = await dry('sync', 'held', 'broken', 'well');
    expect(said.code, said.stderr).toBe(6);
    expect(said.stdout).toMatch(/^held to folder: Another fossilrepo is at work: .*\n/);
    expect(said.stdout).toMatch(/^broken to folder: EEXIST/m);
    expect(said.stdout).toMatch(/^well to folder: nothing differs$/m);
    const { plans } = JSON.parse((await dry('--json', 'sync', 'held', 'well')).stdout) as {
      plans: { repository: string; error: string | null }[];
    };
    expect(plans.map(({ repository, error }) => [repository, error === null])).toEqual([
      ['held', false],
      ['well', true],
    ]);
    expect((await dry('sync', 'held')).code).toBe(5);
    expect((await dry('sync', 'broken')).code).toBe(1);
    expect((await dry('sync', 'well')).code).toBe(0);
  } finally {
    rmSync(side);
    renameSync(`${side}.aside`, side);
  }
});

test('killed at twenty points of a run with all that it had started, it ends at the same refs', async () => {
  const { path } = await create('killed');
  const [first, second] = [remote('killed'), remote('second')];
  const work = join(forge.root, 'killed');
  // From here on only what the test says brings anything anywhere.
  await forge.stop();
  await forge.json('mirror', 'add', 'killed', first, '--name', 'first');
  const inWork = (script: string) => must('env', '-C', work, 'USER=admin', 'sh', '-ec', script);
  must('mkdir', work);
  inWork(`fossil open '${path}' --nosync`);
  let made = 0;
  /** A check-in with a tag: two refs are to be moved. */
  const change = () => {
    const name = `n${++made}`;
    inWork(
      `echo ${name} >${name}; fossil add ${name}; fossil commit --allow-empty --no-warnings -m ${name}; fossil tag add ${name} trunk`,
    );
  };
  let told = '';
  const syncs = async () => {
    const { code, stdout, stderr } = await forge.cli('sync', 'killed');
    told = stdout + stderr;
    return code === 0;
  };
  const isThere = (what: string) =>
    eventually(syncs, 60_000, what).catch((error: unknown) => {
      throw new Error(`${messageOf(error)}: ${told}`);
    });
  const side = join(forge.root, 'var/lib/fossilrepo/mirror');
  const forget = () => rmSync(side, { recursive: true, force: true });
  /** How long a whole run takes, with the Git side that is there and with none. Milliseconds. */
  const whole = { next: 0, first: 0 };
  /** Git, in groups of its own, would go on for a moment. */
  const killAll = () => {
    for (const { pid } of processesOf(forge.root))
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
  };
  const points: string[] = [];
  let [cut, moved] = [0, 0];
  for (let n = 0; n < 20; n++) {
    // Measured now and then: the machine has other work, too.
    if (n % 5 === 0) {
      await isThere('it is there');
      change();
      whole.next = await isThere('a whole run');
      change();
      forget();
      whole.first = await isThere('a whole first run');
    }
    const kind = n % 3 === 0 ? 'first' : 'next';
    change();
    if (kind === 'first') forget();
    const before = refs(first);
    const part = Math.random();
    const after = whole[kind] * part;
    const [said] = await Promise.all([forge.killed(after, 'sync', 'killed'), sleep(after).then(killAll)]);
    if (said.code === null) cut++;
    if (!isDeepStrictEqual(refs(first), before)) moved++;
    points.push(`${Math.round(part * 100)} % of a ${kind} one${said.code === null ? '' : ' (it had ended)'}`);
  }
  measured(
    `sync, which takes ${Math.round(whole.next)} ms, and ${Math.round(whole.first)} ms for the first time, was killed ${cut} times of 20, at ${points.join(', ')}; ${moved} had moved refs`,
  );
  expect(cut, points.join(', ')).toBeGreaterThanOrEqual(10);
  await isThere('it is there');
  await forge.json('mirror', 'add', 'killed', second, '--name', 'second');
  await forge.json('sync', 'killed');
  expect(refs(first)).toEqual(refs(second));
  expect(Object.keys(refs(first))).toHaveLength(1 + made);
  expect(origins(first)).toHaveLength(1 + made);
  git(first, 'fsck', '--strict');
  expect((await forge.cli('mirror', 'verify', 'killed')).code).toBe(0);
});

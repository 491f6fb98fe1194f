import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseSilent } from '../../src/mirror/upstream/pull-fossil.ts';
import { openServer } from '../../src/server.ts';
import { run } from '../../src/system/run.ts';
import { newPerson, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { processesOf } from './processes.ts';
import { commitFile, initRepository, query, serve, type Served } from './support/fossil-lab.ts';
import { startSilent } from './support/git-servers.ts';

let forge: TestForge;
let lab: string;
let server: Served;
const password = 's3cret/of %ann';

const fossil = (...args: string[]) =>
  run({ argv: ['fossil', ...args], env: { FOSSIL_HOME: join(lab, 'home'), USER: 'admin' } });
const file = (name: string) => join(lab, 'repos', `${name}.fossil`);
const url = (name: string, login = '') => `http://${login}localhost:${server.port}/${name}`;
const ann = (secret = password) => `ann:${encodeURIComponent(secret)}@`;
const commit = (name: string, path: string, text: string) =>
  commitFile(file(name), join(lab, 'home'), path, text);

beforeAll(async () => {
  forge = await startForge();
  lab = mkdtempSync(join(tmpdir(), 'upstream-fossil-'));
  mkdirSync(join(lab, 'repos'));
  for (const name of ['project', 'other']) {
    await initRepository(file(name), join(lab, 'home'));
    await fossil('user', 'new', 'ann', 'Ann', password, '-R', file(name));
    await fossil('user', 'capabilities', 'ann', 'go', '-R', file(name));
    for (const stranger of ['nobody', 'anonymous'])
      await fossil('user', 'capabilities', stranger, '', '-R', file(name));
  }
  await commit('project', 'a.txt', 'one\n');
  server = await serve(join(lab, 'repos'), join(lab, 'home'));
});
afterAll(async () => {
  await server.stop();
  await forge[Symbol.asyncDispose]();
  rmSync(lab, { recursive: true });
});

const artifacts = (path: string) => query(path, 'SELECT uuid FROM blob WHERE size >= 0 ORDER BY uuid');
const pull = (name: string) => forge.cli('--json', 'upstream', 'pull', name);
/** The server may be at it itself, as soon as one is set. */
const pullWhenFree = async (name: string) => {
  for (;;) {
    const said = await pull(name);
    if (said.code !== 5) return said;
    await sleep(500);
  }
};

test('what comes while others write is brought all the same', async () => {
  const shown = await forge.json<Shown>(
    'repo',
    'create',
    'busy',
    '--follow',
    '--from',
    url('project', ann()),
  );
  await commit('project', `busy-${Date.now()}.txt`, 'more\n');
  // Whoever writes has the lock nine tenths of the time: SQLite doesn't wait for it in a transaction that has read.
  const writer = new Worker(
    `const { DatabaseSync } = require('node:sqlite');
     const { workerData, parentPort } = require('node:worker_threads');
     const database = new DatabaseSync(workerData, { timeout: 10_000 });
     const wait = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
     for (const until = Date.now() + 4_000; Date.now() < until; wait(10)) {
       database.exec('BEGIN IMMEDIATE');
       parentPort.postMessage('locked');
       wait(90);
       database.exec('COMMIT');
     }
     database.close();`,
    { eval: true, workerData: shown.path },
  );
  const ended = once(writer, 'exit');
  await once(writer, 'message');
  expect(await forge.json('upstream', 'pull', 'busy')).toMatchObject({ ok: true, came: { checkins: 1 } });
  await ended;
});

test('a Fossil upstream with a password is followed, and only artifacts come', async () => {
  const shown = await forge.json<Shown & { upstream: string }>(
    ...['repo', 'create', 'copy', '--follow', '--from', url('project', ann())],
  );
  expect(shown.upstream).toBe(url('project'));
  expect(await forge.json('upstream', 'pull', 'copy')).toMatchObject({ ok: true, came: { artifacts: 0 } });
  await commit('project', 'b.txt', 'two\n');
  await fossil('ticket', 'add', 'title', 'broken', '--quote', '-R', file('project'));
  await fossil('wiki', 'create', 'Page', file('project'), '-R', file('project')).catch(() => undefined);
  await fossil('user', 'new', 'mallory', 'M', 'x', '-R', file('project'));
  await fossil('settings', 'project-description', 'x', '-R', file('project')).catch(() => undefined);
  const access = () => [
    query(shown.path, 'SELECT login, cap, pw FROM user ORDER BY login'),
    query(shown.path, "SELECT name, value FROM config WHERE name <> 'rebuilt' ORDER BY name"),
  ];
  const before = access();
  const came = await forge.json<{ came: { checkins: number; artifacts: number } }>(
    'upstream',
    'pull',
    'copy',
  );
  expect(came).toMatchObject({ came: { checkins: 1 } });
  expect(came.came.artifacts).toBeGreaterThan(2);
  expect(artifacts(shown.path)).toEqual(expect.arrayContaining(artifacts(file('project'))));
  expect(access()).toEqual(before);
  expect(query(shown.path, 'SELECT title FROM ticket')).toEqual([{ title: 'broken' }]);
  expect(query(shown.path, 'SELECT count(*) AS n FROM blob WHERE size < 0')).toEqual([{ n: 0 }]);
  const found = spawnSync('grep', [
    ...['-rlaF', '-e', password, '-e', encodeURIComponent(password), forge.root],
  ]);
  expect(found.stdout.toString()).toBe('');
  expect(forge.log()).not.toContain('s3cret');
});

test('what Fossil answers 0 to is told: a refused login, another project, nobody there, no such name', async () => {
  const shown = await forge.json<Shown>('repo', 'show', 'copy');
  const before = artifacts(shown.path);
  const kept = await forge.json<{ upstream: object }>('upstream', 'show', 'copy');
  for (const [address, said] of [
    [url('project', ann('wr0ng-one')), 'refused the login'],
    [url('project'), 'may not be read'],
    [url('other', ann()), 'another project'],
    [url('nothing-here', ann()), 'has no such repository'],
    ['http://localhost:1/project', 'did not answer as Fossil does'],
  ] as const) {
    const refused = await forge.cli('upstream', 'set', 'copy', address);
    expect(`${address}: ${refused.code} ${refused.stderr}`).toContain(`${address}: 1`);
    expect(refused.stderr).toContain(said);
    expect(refused.stderr).not.toContain('wr0ng');
    expect(artifacts(shown.path)).toEqual(before);
  }
  // What did not work is not kept.
  expect((await forge.json<{ upstream: object }>('upstream', 'show', 'copy')).upstream).toMatchObject({
    url: (kept.upstream as { url: string }).url,
    credential: 'token or password',
  });
  expect(await forge.json('upstream', 'pull', 'copy')).toMatchObject({ ok: true });
});

test('a server that says nothing holds nobody up: the hosted repository takes pushes meanwhile, and a stopped pull leaves nothing', async () => {
  await using silent = await startSilent();
  const shown = await forge.json<Shown>('repo', 'show', 'copy');
  query(
    join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
    `UPDATE upstream SET url = 'http://localhost:${silent.port}/project', sealed_credential = NULL, user = NULL RETURNING 1`,
  );
  const waiting = forge.killed(8_000, 'upstream', 'pull', 'copy');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const started = performance.now();
  query(shown.path, "UPDATE config SET mtime = mtime WHERE name = 'project-code' RETURNING 1");
  expect(performance.now() - started).toBeLessThan(2_000);
  const busy = await pull('copy');
  expect(busy.code).toBe(5);
  expect((await waiting).code).toBe(null);
  // It is asked for a word before an hour is waited.
  const ask = { url: `http://localhost:${silent.port}/project`, home: join(lab, 'home'), timeout: 1_000 };
  const { config } = openServer({ root: forge.root, json: true });
  await expect(refuseSilent({ run, config }, ask)).rejects.toThrow('said nothing for 1 s');
  // Whatever is answered is an answer, and who does not listen is told by the pull.
  for (const url of [`http://localhost:${server.port}/nothing-here`, 'http://localhost:1/x'])
    await refuseSilent({ run, config }, { ...ask, url, timeout: 60_000 });
});

test.each([
  ['says nothing at all', false],
  ['says nothing more once it is pulled from', true],
])(
  'a server that %s is given up at the deadline, in plain words, and nothing goes on',
  async (_, polite) => {
    await using silent = await startSilent({ polite });
    query(
      join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
      `UPDATE upstream SET url = 'http://localhost:${silent.port}/project' RETURNING 1`,
    );
    const { path } = await forge.json<Shown>('repo', 'show', 'copy');
    const before = artifacts(path);
    const atWork = () =>
      processesOf(forge.root).filter(({ argv }) => /fossil (pull|test-httpmsg)/.test(argv));
    const syncing = forge.cli('--json', 'sync', 'copy', '--deadline', '20s');
    await eventually(() => silent.kept() > 0, 20_000, 'it is asked');
    expect(atWork()).not.toEqual([]);
    const began = performance.now();
    const late = await syncing;
    expect(performance.now() - began).toBeLessThan(40_000);
    expect(late.code, late.stderr).toBe(1);
    const { pulled } = JSON.parse(late.stdout) as { pulled: object[] };
    const error = expect.stringContaining('It was ended at its deadline of 20s.') as string;
    expect(pulled).toMatchObject([
      { repository: 'copy', ok: false, busy: false, error, errorKind: 'timeout' },
    ]);
    expect(atWork()).toEqual([]);
    const { upstream } = await forge.json<{ upstream: object }>('upstream', 'show', 'copy');
    expect(upstream).toMatchObject({ ok: false, error, nextTry: expect.any(String) as string });
    expect(artifacts(path)).toEqual(before);
  },
  120_000,
);

test('down and up again; an archived repository takes nothing', async () => {
  await forge.json('upstream', 'set', 'copy', url('project', ann()));
  const { path } = await forge.json<Shown>('repo', 'show', 'copy');
  await server.stop();
  const down = await pullWhenFree('copy');
  expect(down.code).toBe(1);
  const shown = await forge.json<{ upstream: { nextTry: string } }>('upstream', 'show', 'copy');
  expect(shown.upstream).toMatchObject({ ok: false, errorKind: 'unreachable' });
  expect(shown.upstream.nextTry).not.toBe(null);
  server = await serve(join(lab, 'repos'), join(lab, 'home'));
  await commit('project', 'c.txt', 'three\n');
  await forge.json('upstream', 'set', 'copy', url('project', ann()));
  expect(artifacts(path)).toEqual(expect.arrayContaining(artifacts(file('project'))));
  await forge.json('repo', 'archive', 'copy');
  await commit('project', 'd.txt', 'four\n');
  const archived = await pullWhenFree('copy');
  expect(archived.code).toBe(1);
  expect(archived.stderr).toContain('is archived');
});

test('a restore stays done: what was only pushed here does not come back with a pull, what came from there does', async () => {
  const shown = await forge.json<Shown>('repo', 'create', 'rewound', '--from', url('project', ann()));
  const { token } = await forge.json<{ token: string }>('user', 'token', 'admin');
  using someone = newPerson();
  const folder = await someone.checkout(shown.cloneUrl, `admin:${token}`);
  await sleep(1_500);
  const at = new Date().toISOString();
  await sleep(1_500);
  const mistake = await someone.commit(folder, 'mistake.txt', 'never meant\n');
  expect(await someone.push(folder)).toBe(true);
  await commit('project', `late-${Date.now()}.txt`, 'late\n');
  // From then on there is a clone of what is here and there.
  await forge.json('upstream', 'set', 'rewound', url('project', ann()));
  const isThere = () => artifacts(shown.path).some(({ uuid }) => uuid === mistake);
  const missing = () => {
    const here = new Set(artifacts(shown.path).map(({ uuid }) => uuid));
    return artifacts(file('project')).filter(({ uuid }) => !here.has(uuid)).length;
  };
  const pulled = async () => {
    const { code, stderr } = await pullWhenFree('rewound');
    expect(code, stderr).toBe(0);
    return { mistake: isThere(), missing: missing() };
  };
  expect({ mistake: isThere(), missing: missing() }).toEqual({ mistake: true, missing: 0 });
  await forge.json('restore', 'rewound', '--at', at, '--yes');
  expect(isThere()).toBe(false);
  expect(await pulled()).toEqual({ mistake: false, missing: 0 });
  await forge.json('restore', 'rewound', '--undo', '--yes');
  expect(await pulled()).toEqual({ mistake: true, missing: 0 });
  await forge.json('restore', 'rewound', '--redo', '--yes');
  expect(await pulled()).toEqual({ mistake: false, missing: 0 });
});

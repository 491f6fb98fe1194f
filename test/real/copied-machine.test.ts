import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { asForgesUser, eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { startPusher } from './pusher.ts';

// A virtual machine that was cloned with its disk: the same server, the same machine id, the same folder, another start. The copy runs in
// namespaces of its own, which needs root, as test/all has: its folder lies where the first one's is, and its processes are its own.

let disk: string;
let first: TestForge;
let furniture: TestForge;
let demo: Awaited<ReturnType<typeof startPusher>>;
let guest: ChildProcess | undefined;
/** What it says on standard error. */
let log = '';

beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), 'replica-disk-'));
  furniture = await startForge({ up: false, config: { replica: { url: `file://${disk}` } } });
  const { uid, gid } = statSync(furniture.root);
  chownSync(disk, uid, gid);
  first = await startForge({ config: { replica: { url: `file://${disk}` } } });
  demo = await startPusher(first, 'demo', { pushing: false });
  expect(await demo.one()).toBe(true);
  expect((await first.cli('backup', 'now')).code).toBe(0);
  await first.stop();
  mkdirSync(join(furniture.root, 'var'));
  chownSync(join(furniture.root, 'var'), uid, gid);
  for (const folder of ['data', 'etc/fossilrepo/secrets', 'var/lib'])
    execFileSync('cp', ['-a', '--', join(first.root, folder), join(furniture.root, folder, '..')]);
});
afterAll(async () => {
  await powerOff();
  await demo[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await furniture[Symbol.asyncDispose]();
  rmSync(disk, { recursive: true });
});

const command = (...args: string[]) => [
  ...asForgesUser(),
  join(programHome, 'bin/fossilrepo'),
  ...['--root', first.root, ...args],
];
const env = () => ({ PATH: process.env['PATH'], HOME: first.root, NO_COLOR: '1' });

/** Starts a machine whose disk has this folder, each time as another boot. */
function powerOn(folder: string, args = ['up']): void {
  const boot = join(furniture.root, 'boot_id');
  writeFileSync(boot, `${randomUUID()}\n`);
  const script =
    'mount --bind "$1" /proc/sys/kernel/random/boot_id && mount --bind "$2" "$3" && shift 3 && exec "$@"';
  const own = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const argv = [...own, 'sh', '-c', script, 'sh', boot, folder, first.root, ...command(...args)];
  const started = spawn('unshare', argv, { env: env(), cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  log = '';
  started.stderr.on('data', (piece: Buffer) => (log += piece.toString()));
  guest = started;
}

/** Ends all its processes before it returns: the kernel does so when the first of them is gone. */
async function powerOff(): Promise<void> {
  if (guest === undefined || guest.exitCode !== null || guest.signalCode !== null) return;
  const ended = once(guest, 'exit');
  const inner = firstProcess(guest);
  if (inner === undefined) guest.kill('SIGKILL');
  else process.kill(inner, 'SIGKILL');
  await ended;
}

/** Its number on this machine; undefined while it isn't there yet. */
function firstProcess({ pid = 0 }: ChildProcess): number | undefined {
  const [inner = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return inner === '' ? undefined : Number(inner);
}

/** A command on the machine that was powered on. */
async function onGuest(...args: string[]): Promise<{ code: number | undefined; said: string }> {
  const inner = guest && firstProcess(guest);
  if (inner === undefined) return { code: undefined, said: `it is not on: ${log}` };
  const ran = await execa('nsenter', ['-t', String(inner), '--mount', '--pid', '--', ...command(...args)], {
    env: env(),
    extendEnv: false,
    cwd: '/',
    reject: false,
    all: true,
  });
  return { code: ran.exitCode, said: ran.all };
}

const ownerObject = () =>
  JSON.parse(readFileSync(join(disk, 'owner.json'), 'utf8')) as {
    boot?: string;
    asked?: string;
    generation: number;
  };

test('a server that is started again on the same boot goes on at once', async () => {
  await first.start();
  expect((await first.cli('status')).stdout).not.toContain('whether a copy of it runs');
  expect(await demo.one()).toBe(true);
  expect((await first.cli('backup', 'now')).code).toBe(0);
});

test('its copy asks, is answered, writes nothing and says so; the first one goes on', async () => {
  powerOn(furniture.root);
  let said = '';
  await eventually(
    async () => (said = (await onGuest('status')).said).includes('rm /etc/machine-id'),
    90_000,
    'the copy says that another one runs',
  ).catch((error: unknown) => {
    throw new Error(said, { cause: error });
  });
  expect((await onGuest('status')).code).toBe(4);
  const config = readFileSync(join(furniture.root, 'var/lib/fossilrepo/litestream.yml'), 'utf8');
  expect(config).toContain('dbs: []');
  const made = await onGuest('repo', 'create', 'other');
  expect(made.said).toContain('Nothing may be written to the replica');
  expect(await demo.one()).toBe(true);
  expect((await first.cli('backup', 'now')).code).toBe(0);
  expect(await demo.lostInReplica()).toEqual([]);
  expect((await first.cli('status')).code).toBe(0);
  expect(ownerObject()).not.toHaveProperty('asked');
  await powerOff();
});

test('a machine that was started anew asks, too; nobody answers, and it goes on by itself', async () => {
  await first.stop();
  const { boot } = ownerObject();
  powerOn(first.root);
  await eventually(() => ownerObject().asked !== undefined, 60_000, 'it asks');
  let status = { code: undefined as number | undefined, said: '' };
  const isNotRed = async () => (status = await onGuest('status')).code === 0;
  // On a machine so slow that its parts are up later than it has asked, nobody sees it.
  const asks = () => ownerObject().asked !== undefined;
  await eventually(async () => !asks() || ((await isNotRed()) && asks()), 30_000, 'it is not red meanwhile');
  if (asks()) expect(status.said).toContain('whether a copy of it runs elsewhere');
  await eventually(() => !asks(), 30_000, 'the replica is its own');
  expect(ownerObject().boot).not.toBe(boot);
  await eventually(async () => (await onGuest('backup', 'now')).code === 0, 60_000, 'all is sent');
  const [latest] = (await onGuest('status')).said.split('lately').slice(1);
  expect(latest).not.toMatch(/fenced|opened/);
  await powerOff();
});

test('one that did not answer writes nothing any more once it can look', async () => {
  await first.start();
  const { boot } = ownerObject();
  const goOn = await pauseManagement(first);
  try {
    powerOn(furniture.root);
    await eventually(() => ownerObject().boot !== boot, 90_000, 'the copy has the replica');
  } finally {
    goOn();
  }
  await eventually(
    async () => (await first.cli('status')).stdout.includes('rm /etc/machine-id'),
    60_000,
    'the first one says that the copy runs',
  );
  expect(await demo.one()).toBe(true);
  expect((await first.cli('backup', 'now')).code).not.toBe(0);
  expect(await demo.lostInReplica()).toContain(demo.acknowledged.at(-1));
});

test('a server that is brought back on a machine with the same id is taken over from the one that runs', async () => {
  await powerOff();
  await using bare = await startForge({ up: false });
  const install = ['install', '--from', `file://${disk}`, '--without-secrets', '--yes'];
  powerOn(bare.root, install);
  await once(guest as ChildProcess, 'exit');
  expect(guest?.exitCode, log).toBe(2);
  expect(log).toContain('--takeover');
  expect(ownerObject().generation).toBe(0);
  powerOn(bare.root, [...install, '--takeover']);
  await eventually(() => ownerObject().generation === 1, 60_000, 'the replica is taken over');
  await eventually(
    async () => (await first.cli('status')).stdout.includes('this one was brought back there'),
    60_000,
    'the former one says so',
  );
  await powerOff();
});

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  chownSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { noteClaimed } from '../../src/backup/fence.ts';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { readHighWater } from '../../src/backup/high-water.ts';
import { listHistory, newestTxid } from '../../src/backup/history.ts';
import { partKey, transactionsOf } from '../../src/backup/location.ts';
import { takenOut } from '../../src/backup/taken-out.ts';
import { loadConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { openStore } from '../../src/store/store.ts';
import type { Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { measured } from './processes.ts';
import { instanceOf, type Pusher, startPusher } from './pusher.ts';

let forge: TestForge;
let pusher: Pusher;
/** The id of a repository that nobody uses. */
let idle: string;
/** Where the replica is at first, and other places for it. */
let first: string;
let second: string;
let third: string;

beforeAll(async () => {
  // As short as it may be: what is older lies in the replica in merged objects alone, and is gone beside the databases.
  forge = await startForge({ config: { replica: { exact: '30s', step: '30s' } } });
  pusher = await startPusher(forge, 'busy', { every: 500 });
  idle = (await forge.json<Shown>('repo', 'create', 'idle')).id;
  first = join(forge.root, 'var/backups/fossilrepo');
  second = join(forge.root, 'second');
  third = join(forge.root, 'third');
  await eventually(() => beginsLate(), 240_000, 'the first transactions are gone beside the databases');
}, 360_000);
afterAll(async () => {
  await pusher[Symbol.asyncDispose]();
  await forge[Symbol.asyncDispose]();
});

/** Whether Litestream could not send a whole history any more from what it keeps beside the databases. */
const beginsLate = (): boolean =>
  [pusher.path, join(forge.root, 'var/lib/fossilrepo/fossilrepo.db')].every((file) => {
    const [oldest] = takenOut(file);
    return oldest !== undefined && (transactionsOf(oldest)?.min ?? 0) > 1;
  });

const configFile = () => join(forge.root, 'etc/fossilrepo/fossilrepo.yaml');
function configure(folder: string): void {
  const config = parse(readFileSync(configFile(), 'utf8')) as { replica: object };
  writeFileSync(
    configFile(),
    stringify({ ...config, replica: { ...config.replica, url: `file://${folder}` } }),
  );
}

const filesBelow = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort();

async function green(what: string): Promise<void> {
  const took = await eventually(
    async () => (await forge.cli('status')).code === 0,
    120_000,
    `green, ${what}`,
  );
  measured(`${what}: green after ${Math.round(took)} ms`);
}

/** All that was pushed so far is in the replica, and each database comes out of it as it is in service. */
async function allIsThere(what: string): Promise<void> {
  await green(what);
  const before = pusher.acknowledged.length;
  await eventually(() => pusher.acknowledged.length > before, 30_000, 'a push');
  await pusher.pause();
  expect((await forge.cli('backup', 'now')).code).toBe(0);
  expect(await pusher.lostInReplica()).toEqual([]);
  const verified = await forge.cli('backup', 'verify');
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  await eventually(marked, 90_000, 'how far each is in the replica stands beside it, of the idle one, too');
  pusher.go();
}

async function marked(): Promise<boolean> {
  const { replica } = loadConfig(pathsUnder(forge.root));
  const store = directoryStore(replica.url.slice('file://'.length));
  const marks = await readHighWater(store, instanceOf(forge.root));
  const newest = async (id: string) =>
    newestTxid(
      await listHistory({ store, kind: 'directory', key: partKey(instanceOf(forge.root), `repos/${id}`) }),
    );
  return marks.get(idle) === (await newest(idle)) && marks.get(pusher.id) === (await newest(pusher.id));
}

/** Each waits until the server is green again more than once, and verifies all of it. Milliseconds. */
const patience = 300_000;

test(
  'another folder, by an apply that is killed and a loop that is killed: all is sent there, what was in the former stays',
  async () => {
    configure(second);
    await forge.killed(2_500, 'apply');
    const applied = await forge.cli('apply');
    expect(applied.code, applied.stderr).toBe(0);
    process.kill(forge.pidOf('management'), 'SIGKILL');
    await green('moved');
    const left = filesBelow(first);
    await allIsThere('pushed to, too');
    expect(filesBelow(first)).toEqual(left);
    expect((await forge.cli('status')).stdout).toContain(`the replica is file://${second} now`);
  },
  patience,
);

test(
  'back by install: the history goes on there',
  async () => {
    const history = filesBelow(first).filter((name) => name.includes(pusher.id));
    const said = await forge.cli('install', '--replica', `file://${first}`, '--yes');
    expect(said.code, said.stderr).toBe(0);
    await allIsThere('moved back');
    const now = new Set(filesBelow(first));
    const merged = history.filter((name) => name.includes('/ltx/1/') && name.endsWith('.ltx'));
    expect(merged.length).toBeGreaterThan(0);
    expect(merged.every((name) => now.has(name))).toBe(true);
    expect(beginsLate()).toBe(true);
  },
  patience,
);

test(
  'emptied on purpose: install --fresh-replica sends all of it',
  async () => {
    renameSync(first, `${first}.old`);
    mkdirSync(first, { mode: 0o700 });
    const { uid, gid } = statSync(`${first}.old`);
    chownSync(first, uid, gid);
    await eventually(
      async () => (await forge.cli('status')).stdout.includes('--fresh-replica'),
      30_000,
      'it is seen to be empty',
    );
    const said = await forge.cli('install', '--fresh-replica', '--yes');
    expect(said.code, said.stderr).toBe(0);
    await allIsThere('fresh');
  },
  patience,
);

test(
  'a server that is stuck in a new place, as earlier versions left it, begins anew by itself',
  async () => {
    // Where a history is already, what Litestream keeps beside begins with the end of that.
    expect((await forge.cli('install', '--replica', `file://${second}`, '--yes')).code).toBe(0);
    await allIsThere('in the second place again');
    expect(beginsLate()).toBe(true);
    await pusher.pause();
    await forge.stop();
    configure(third);
    mkdirSync(third, { mode: 0o700 });
    const { uid, gid } = statSync(second);
    chownSync(third, uid, gid);
    {
      const paths = pathsUnder(forge.root);
      using store = openStore(paths);
      noteClaimed(store, loadConfig(paths).replica);
    }
    writeFileSync(join(third, 'owner.json'), readFileSync(join(second, 'owner.json')));
    chownSync(join(third, 'owner.json'), uid, gid);
    void forge.start().catch(() => undefined);
    await eventually(
      // Litestream may have brought a snapshot there meanwhile: then the transaction behind it is all that lacks.
      async () =>
        /no longer what it was to send next|put back from beside it/.test((await forge.cli('status')).stdout),
      120_000,
      'it is mended',
    );
    pusher.go();
    await allIsThere('unstuck');
  },
  patience,
);

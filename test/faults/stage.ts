import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { partKey } from '../../src/backup/location.ts';
import { eventually, startForge, type TestForge } from '../real/forge.ts';
import { hastyLitestream } from '../real/hasty-litestream.ts';
import { instanceOf, type Pusher, startPusher } from '../real/pusher.ts';
import { startS3 } from '../real/s3.ts';
import { type SmallDisk, smallDisk } from '../real/small-disk.ts';
import { type UnrulyS3, unruly } from './unruly.ts';

/**
 * Where the replica of a stage is, or which of its disks is a small one of its own. `all levels`: a folder in which Litestream merges and
 * makes snapshots every few seconds, so that there are objects of each level within a minute.
 */
export type Setting = 'directory' | 's3' | 'small replica' | 'small data' | 'all levels';

/** A running forge and three people who push to a repository each. */
export type Stage = {
  setting: Setting;
  forge: TestForge;
  pushers: readonly [Pusher, Pusher, Pusher];
  /** Only in the setting `s3`. */
  s3: () => UnrulyS3;
  /** Only in those with a small disk. */
  disk: () => SmallDisk;
  /** The folder in which the replica has a repository's objects, below it one for each level. */
  historyOf: (id: string) => string;
  /** Whether nothing is wrong, as `/health` says it, and then `status`, which asks each part itself. */
  isGreen: () => Promise<boolean>;
  [Symbol.asyncDispose]: () => Promise<void>;
};

/** A repository is called ok for so long after its last commit was in the replica. Milliseconds. */
export const maxAge = 5_000;

/** How long each of the three waits after a push: three of them are at it, on a machine that others use. Milliseconds. */
const pace = 500;

export async function openStage(setting: Setting): Promise<Stage> {
  await using made = new AsyncDisposableStack();
  const storage = setting === 's3' ? made.use(await startS3()) : undefined;
  const s3 = storage && made.use(await unruly(storage));
  const replicaDisk = setting === 'small replica' ? made.use(smallDisk({ megabytes: 24 })) : undefined;
  const url = s3
    ? { url: `s3://${s3.bucket}/forge`, endpoint: s3.endpoint }
    : replicaDisk && { url: `file://${join(replicaDisk.folder, 'replica')}` };
  const hasty =
    setting === 'all levels' ? made.use(hastyLitestream({ merged: 5, again: 15, snapshot: 20 })) : undefined;
  const config = {
    ...(hasty && { programs: { litestream: hasty.program } }),
    replica: { ...url, maxAge: `${maxAge / 1000}s`, step: '30s' },
  };
  const forge = made.use(await startForge({ ...(s3 && { s3 }), config, up: false }));
  const dataDisk = setting === 'small data' ? made.use(mountData(forge)) : undefined;
  // A disk can be unmounted only when nobody is on it.
  made.defer(() => forge.stop());
  await forge.start();
  const pushers = [
    made.use(await startPusher(forge, 'one', { every: pace })),
    made.use(await startPusher(forge, 'two', { every: pace })),
    made.use(await startPusher(forge, 'three', { every: pace })),
  ] as const;
  const home = s3
    ? join(s3.folder, 'forge')
    : replicaDisk
      ? join(replicaDisk.folder, 'replica')
      : join(forge.root, 'var/backups/fossilrepo');
  const stage: Stage = {
    setting,
    forge,
    pushers,
    s3: () => given(s3, 'a storage'),
    disk: () => given(replicaDisk ?? dataDisk, 'a small disk'),
    historyOf: (id) => join(home, partKey(instanceOf(forge.root), `repos/${id}`), s3 ? '' : 'ltx'),
    isGreen: () => isGreen(forge),
    [Symbol.asyncDispose]: () => ending.disposeAsync(),
  };
  await eventually(stage.isGreen, 60_000, 'green before anything goes wrong');
  const ending = made.move();
  return stage;
}

function mountData(forge: TestForge): SmallDisk {
  const at = join(forge.root, 'data');
  mkdirSync(at, { recursive: true });
  // Less is refused by `up`.
  return smallDisk({ at, megabytes: 640 });
}

/** `/health` first: there is no program to start for that. */
async function isGreen(forge: TestForge): Promise<boolean> {
  try {
    const answer = await fetch(`http://localhost:${forge.ports.http}/health`);
    await answer.arrayBuffer();
    return answer.status === 200 && (await forge.cli('status')).code === 0;
  } catch {
    return false;
  }
}

/** Writes the keys of a storage into a file, as `install --storage-keys` takes them. @returns the file */
export function keysFile(root: string, keys: { accessKeyId: string; secretAccessKey: string }): string {
  const file = join(root, 'new-keys');
  writeFileSync(
    file,
    `[default]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`,
    { mode: 0o644 },
  );
  return file;
}

function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`this stage has no ${what}`);
  return value;
}

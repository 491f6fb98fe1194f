import { type FSWatcher, watch } from 'node:fs';
import pMap from 'p-map';
import { isFenced } from '../backup/fence.ts';
import { replicaPlace } from '../backup/location.ts';
import { openReplicaStore } from '../backup/open.ts';
import { beatOwner } from '../backup/owner.ts';
import { judgeOwnership, ownerOf, type Ownership } from '../backup/ownership.ts';
import type { Forge } from '../forge.ts';
import { lookAtDisk } from '../health/disk.ts';
import type { Finding } from '../health/finding.ts';

/** Sees to it that the replica is this server's alone. */
export type OwnerWatch = {
  /** Whether databases may be given to Litestream: the replica was ours when it was last asked. */
  ours: () => boolean;
  /** What was wrong with it at the last look. */
  findings: () => Finding[];
  /** Asks the replica whose it is, and acts upon it. */
  check: () => Promise<void>;
  /** Says in the replica that we are still alive. */
  beat: () => Promise<void>;
  stop: () => void;
};

/**
 * While the replica is another's or its disk isn't there, Litestream runs without any database, so that no byte goes to the wrong place.
 * A folder is watched besides being asked: until the next question Litestream would write into the empty place.
 * @param changed called when the findings have become others
 */
export function watchOwner(forge: Forge, changed: () => void): OwnerWatch {
  const place = replicaPlace(forge.config.replica);
  const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
  let ownership: Ownership | undefined;
  let failures = 0;
  let room: Finding[] = [];
  let looking: Promise<void> | undefined;
  let watcher: FSWatcher | undefined;

  const look = async () => {
    const fencedBefore = isFenced(forge.store);
    const before = ownership?.is;
    const now = await judgeOwnership(forge);
    ownership = now;
    failures = now.is === 'unreachable' ? failures + 1 : 0;
    const fenced = isFenced(forge.store);
    if (fenced) await stopWriting(forge);
    else if (fencedBefore) await endLitestream(forge, 'SIGTERM');
    else if (before === 'unreachable' && now.is === 'ours') void catchUp(forge);
    watchFolder(now.is === 'ours');
    // Only a folder that has just answered: a file server that is gone would block.
    room =
      now.is === 'ours' && place.kind === 'directory'
        ? await lookAtDisk(place.folder, "The disk of the replica's folder")
        : [];
    if (now.is !== before) changed();
  };

  const check = () =>
    (looking ??= look().finally(() => {
      looking = undefined;
    }));

  const watchFolder = (ours: boolean) => {
    if (place.kind !== 'directory') return;
    if (!ours) {
      watcher?.close();
      watcher = undefined;
    } else if (!watcher) {
      watcher = watch(place.folder, { persistent: false }, () => void check().catch(() => undefined));
      // The questions every few seconds go on.
      watcher.on('error', () => undefined);
    }
  };

  return {
    ours: () => ownership !== undefined && !isFenced(forge.store),
    findings: () => {
      if (!ownership || ownership.is === 'ours') return room;
      // One request that fails is no outage.
      if (ownership.is === 'unreachable' && failures < 2) return [];
      const { what, next } = ownership;
      const held = isFenced(forge.store) ? ' Nothing is written there meanwhile.' : '';
      return [{ level: 'red', about: 'replica', what, next: `${next}${held}` }];
    },
    check,
    beat: async () => {
      if (ownership?.is === 'ours') await beatOwner(store, ownerOf(forge));
    },
    stop: () => watcher?.close(),
  };
}

/** A Litestream that is asked to let go of a database first sends what it has; so it is ended, and starts again with an empty configuration. */
async function stopWriting(forge: Pick<Forge, 'litestream'>): Promise<void> {
  const databases = await forge.litestream.info().then(
    (info) => info.databases,
    () => 0,
  );
  if (databases > 0) await endLitestream(forge, 'SIGKILL');
}

/** After an outage Litestream itself waits, the longer it was the longer: up to five minutes (its db.go). */
async function catchUp({ litestream }: Pick<Forge, 'litestream'>): Promise<void> {
  const listed = await litestream.list().catch(() => []);
  await pMap(listed, ({ path }) => litestream.syncNow(path).catch(() => undefined), { concurrency: 8 });
}

/** Whoever keeps the parts running starts it again, with today's configuration. */
async function endLitestream(
  { litestream }: Pick<Forge, 'litestream'>,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  const info = await litestream.info().catch(() => undefined);
  if (info) process.kill(info.pid, signal);
}

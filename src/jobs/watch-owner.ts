import type { FSWatcher } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { allDatabases, beginAnew } from '../backup/begin-anew.ts';
import { isFenced, noteClaimed } from '../backup/fence.ts';
import { replicaPlace } from '../backup/location.ts';
import { openReplicaStore } from '../backup/open.ts';
import { askCopy, beatOwner } from '../backup/owner.ts';
import { judgeOwnership, ownerOf, type Ownership } from '../backup/ownership.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { lookAtDisk } from '../health/disk.ts';
import type { Finding } from '../health/finding.ts';
import { addEvent } from '../store/events.ts';
import { watchFolder } from '../system/watch.ts';
import type { HighWaterKeeper } from './high-water.ts';

/** How long a Litestream that was ended may take to be gone. Milliseconds. */
const letsGo = 10_000;

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
 * @param told.changed the findings have become others
 * @param told.begins is given what has every history begin anew, to do it
 */
export function watchOwner(
  forge: Forge,
  told: { changed: () => void; begins: HighWaterKeeper['forget'] },
): OwnerWatch {
  const place = replicaPlace(forge.config.replica);
  const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
  let ownership: Ownership | undefined;
  let failures = 0;
  let room: Finding[] = [];
  let looking: Promise<void> | undefined;
  let asking: Promise<void> | undefined;
  /** A copy of this server has said that it runs: asked once, since from then on its heartbeats tell. */
  let refused = false;
  let watcher: FSWatcher | undefined;

  const look = async () => {
    const fencedBefore = isFenced(forge);
    const before = ownership?.is;
    let now = await judgeOwnership(forge, { refused });
    if (now.is === 'new')
      now = await moveIn(forge, told.begins).then(() => judgeOwnership(forge, { refused }), notBegun);
    ownership = now;
    failures = now.is === 'unreachable' ? failures + 1 : 0;
    const fenced = isFenced(forge);
    if (fenced) await stopWriting(forge);
    else if (fencedBefore) await endLitestream(forge, 'SIGTERM');
    else if (before === 'unreachable' && now.is === 'ours') void catchUp(forge);
    // A storage that fails meanwhile is asked anew.
    if (now.is === 'asking') asking ??= ask().catch(() => undefined);
    watchPlace(now.is === 'ours');
    // Only a folder that has just answered: a file server that is gone would block.
    room =
      now.is === 'ours' && place.kind === 'directory'
        ? await lookAtDisk(place.folder, "The disk of the replica's folder")
        : [];
    if (now.is !== before) told.changed();
  };

  const check = () =>
    (looking ??= look().finally(() => {
      looking = undefined;
    }));

  const ask = async () => {
    try {
      refused = await askCopy(store, ownerOf(forge));
    } finally {
      asking = undefined;
    }
    await check();
  };

  const watchPlace = (ours: boolean) => {
    if (place.kind !== 'directory') return;
    if (!ours) {
      watcher?.close();
      watcher = undefined;
    } else if (!watcher) {
      // Without it the questions every few seconds go on.
      watcher = watchFolder(
        place.folder,
        () => void check().catch(() => undefined),
        () => undefined,
      );
    }
  };

  return {
    ours: () => ownership !== undefined && !isFenced(forge),
    findings: () => {
      if (!ownership || !('what' in ownership)) return room;
      // One request that fails is no outage.
      if (ownership.is === 'unreachable' && failures < 2) return [];
      const { what, next } = ownership;
      const held = isFenced(forge) ? ' Nothing is written there meanwhile.' : '';
      const level = ownership.is === 'asking' ? 'yellow' : 'red';
      return [{ level, about: 'replica', what, next: `${next}${held}` }];
    },
    check,
    beat: async () => {
      if (ownership?.is === 'ours') await beatOwner(store, ownerOf(forge));
    },
    stop: () => watcher?.close(),
  };
}

/**
 * Makes a replica that is ours, at an address that is new to this server, the one that everything is sent to. Noted last: killed before,
 * it is done once more.
 */
async function moveIn(forge: Forge, begins: HighWaterKeeper['forget']): Promise<void> {
  await stopWriting(forge);
  await untilEmpty(forge);
  const databases = allDatabases(forge);
  const erased = await begins(databases, () => beginAnew(forge, databases));
  noteClaimed(forge.store, forge.config.replica);
  const { url } = forge.config.replica;
  const ends = erased.length === 0 ? '' : `; ${erased.length} histories there had no beginning and are gone`;
  addEvent(forge.store, { kind: 'moved', text: `the replica is ${url} now: all is sent there anew${ends}` });
}

/** It is tried again at the next look; until then nothing is written there. */
const notBegun = (error: unknown): Ownership => ({
  is: 'unreachable',
  what: `The replica can't be begun with: ${messageOf(error)}`,
  next: (error instanceof OperatorError ? error.next : undefined) ?? 'See fossilrepo logs management.',
});

/** Until no Litestream runs that has a database: the one that was ended, or one that had just been started. */
async function untilEmpty({ litestream }: Pick<Forge, 'litestream'>): Promise<void> {
  const deadline = performance.now() + letsGo;
  for (;;) {
    const info = await litestream.info().catch(() => undefined);
    if (info === undefined || info.databases === 0) return;
    if (performance.now() > deadline)
      throw new OperatorError('Litestream still has databases of the former replica.', {
        next: 'See fossilrepo logs replication.',
      });
    await sleep(100);
  }
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

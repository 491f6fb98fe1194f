import { beatOwner, checkOwner, claimOwner, thisOwner } from '../backup/owner.ts';
import { openReplicaStore } from '../backup/open.ts';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';

/** Sees to it that the replica is this server's alone. */
export type OwnerWatch = {
  /** Whether it was ours at the last look. */
  ours: () => boolean;
  /** Reads the owner object; what is wrong with it. */
  check: () => Promise<Finding[]>;
  /** Claims a free replica, or says that we are still alive. */
  beat: () => Promise<void>;
};

/** How often the owner object is read again. Milliseconds. */
const interval = 10_000;

/**
 * While the owner object is missing (an unmounted disk) or another's, nothing is registered with Litestream and what is registered is let
 * go, so that no byte goes to the wrong place.
 */
export function watchOwner(forge: Forge): OwnerWatch {
  const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
  const me = thisOwner(forge.instance);
  let lastLook = 0;
  let found: Finding[] = [];
  let claimed = false;

  const letGo = async () => {
    for (const { path } of await forge.litestream.list().catch(() => []))
      await forge.litestream.unregister(path, 5_000).catch(() => undefined);
  };

  const look = async (): Promise<Finding[]> => {
    const state = await checkOwner(store, me);
    if (state === 'ours') return [];
    await letGo();
    if (state === 'missing')
      return [
        {
          level: 'red',
          about: 'replica',
          what: `The replica at ${store.describe} is not the one that was there: its owner object is missing.`,
          next: 'If it is a disk, mount it. If it was emptied on purpose, run fossilrepo install, and all is written there anew.',
        },
      ];
    return [
      {
        level: 'red',
        about: 'replica',
        what: `The replica at ${store.describe} belongs to another server now: ${state.other.hostname}, last alive ${state.other.heartbeat}.`,
        next: 'Nothing is written there any more. Stop one of the two servers, or give this one another replica: fossilrepo install --replica.',
      },
    ];
  };

  return {
    ours: () => claimed && found.length === 0,
    check: async () => {
      if (!claimed) return found;
      if (Date.now() - lastLook < interval) return found;
      lastLook = Date.now();
      found = await look();
      return found;
    },
    beat: async () => {
      if (!claimed) {
        await claimOwner(store, me);
        claimed = true;
      } else if (found.length === 0) await beatOwner(store, me);
    },
  };
}

import { codeOf, messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { addEvent } from '../store/events.ts';
import { generationOf, isFenced, noteClaimed, setFence, wasClaimed } from './fence.ts';
import { openReplicaStore } from './open.ts';
import { checkOwner, claimOwner, type Me, thisOwner } from './owner.ts';
import { writeLitestreamConfig } from './replicate.ts';

/** Whether the replica may be written to. `unreachable` is the only one that may pass by itself within a moment. */
export type Ownership =
  { is: 'ours' } | { is: 'missing' | 'foreign' | 'unreachable'; what: string; next: string };

type Owned = Pick<Forge, 'config' | 'secrets' | 'instance' | 'store' | 'paths'>;

/** This server, as the replica knows it. */
export const ownerOf = ({ instance, paths, store }: Pick<Forge, 'instance' | 'paths' | 'store'>): Me =>
  thisOwner({ instance, root: paths.root, generation: generationOf(store) });

/**
 * Asks the replica whose it is, claims one that is free and new to this server, and puts the fence up or down accordingly:
 * Litestream's configuration lists no database while it is up. The running Litestream is not touched.
 */
export async function judgeOwnership(forge: Owned): Promise<Ownership> {
  const ownership = await look(forge).catch((error: unknown): Ownership => unreachable(error));
  setFenceFor(forge, ownership);
  writeLitestreamConfig(forge);
  return ownership;
}

function setFenceFor({ store, config }: Owned, ownership: Ownership): void {
  const before = isFenced(store);
  if (ownership.is === 'ours') {
    setFence(store, false);
    if (before)
      addEvent(store, { kind: 'opened', text: 'the replica is ours again: all that was held back is sent' });
    return;
  }
  // A storage that is down takes nothing by itself; a folder that isn't there would be made anew by Litestream.
  if (ownership.is === 'unreachable' && wasClaimed(store, config.replica)) return;
  setFence(store, true);
  if (!before)
    addEvent(store, {
      kind: 'fenced',
      text: `nothing is written to the replica any more: ${ownership.what}`,
    });
}

async function look(forge: Owned): Promise<Ownership> {
  const { config, secrets } = forge;
  const store = openReplicaStore(config.replica, secrets.storage);
  const me = ownerOf(forge);
  const state = await checkOwner(store, me);
  if (state === 'missing' && wasClaimed(forge.store, config.replica))
    return {
      is: 'missing',
      what: `The replica at ${store.describe} is not the one that was there: it is empty of what this server wrote.`,
      next: 'If it is a disk, mount it: all goes on by itself. If it was emptied on purpose: fossilrepo install --fresh-replica writes all of it anew.',
    };
  if (state !== 'ours')
    try {
      await claimOwner(store, me);
    } catch (error) {
      if (state === 'missing' || !(error instanceof OperatorError)) throw error;
      return { is: 'foreign', what: error.message, next: error.next ?? '' };
    }
  noteClaimed(forge.store, config.replica);
  return { is: 'ours' };
}

function unreachable(error: unknown): Ownership {
  const what = messageOf(error);
  const next = (error instanceof OperatorError ? error.next : undefined) ?? 'See fossilrepo logs management.';
  const cause = error instanceof Error ? codeOf(error.cause) : undefined;
  return cause === 'ENOENT' || cause === 'ENOTDIR'
    ? { is: 'missing', what, next }
    : { is: 'unreachable', what: `The replica can't be used: ${what}`, next };
}

import { codeOf, messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { addEvent } from '../store/events.ts';
import {
  fenceOf,
  generationOf,
  isElsewhere,
  noteBoot,
  noteClaimed,
  setFence,
  wasClaimed,
  wasOursInBoot,
} from './fence.ts';
import { openReplicaStore } from './open.ts';
import { claimOwner, isMe, isSettled, mayRunHere, type Me, readOwner, thisOwner } from './owner.ts';
import { writeLitestreamConfig } from './replicate.ts';

/**
 * Whether the replica may be written to. `unreachable` may pass by itself within a moment, and so does `asking`: it is this server's, as
 * it was before its machine was started, or as a copy of it that runs. `new`: it is ours, and every database has to begin anew there before
 * anything is written.
 */
export type Ownership =
  | { is: 'ours' }
  | { is: 'new' }
  | { is: 'missing' | 'foreign' | 'unreachable' | 'asking'; what: string; next: string };

type Owned = Pick<Forge, 'config' | 'secrets' | 'instance' | 'store' | 'paths'>;

/** This server, as the replica knows it. */
export const ownerOf = ({ instance, paths, store }: Pick<Forge, 'instance' | 'paths' | 'store'>): Me =>
  thisOwner({ instance, root: paths.root, generation: generationOf(store) });

/**
 * Asks the replica whose it is, claims one that is free and new to this server, and puts the fence up or down accordingly:
 * Litestream's configuration lists no database while it is up. The running Litestream is not touched.
 * @param refused whether a copy of this server has answered that it runs
 */
export async function judgeOwnership(forge: Owned, { refused = false } = {}): Promise<Ownership> {
  const ownership = await look(forge, refused).catch((error: unknown): Ownership => unreachable(error));
  setFenceFor(forge, ownership);
  writeLitestreamConfig(forge);
  return ownership;
}

function setFenceFor(forge: Owned, ownership: Ownership): void {
  const { store, config } = forge;
  const before = fenceOf(store);
  if (ownership.is === 'ours' || ownership.is === 'new') {
    setFence(store, 'down');
    if (before === 'up' && ownership.is === 'ours')
      addEvent(store, { kind: 'opened', text: 'the replica is ours again: all that was held back is sent' });
    return;
  }
  // A storage that is down takes nothing by itself; a folder that isn't there would be made anew by Litestream.
  const claimed = ownership.is === 'unreachable' && wasClaimed(store, config.replica);
  if (claimed && wasOursInBoot(store, ownerOf(forge).boot)) return;
  if (claimed || ownership.is === 'asking') {
    // Every start of a machine would be told otherwise.
    if (before === 'down') setFence(store, 'asking');
    return;
  }
  setFence(store, 'up');
  if (before !== 'up')
    addEvent(store, {
      kind: 'fenced',
      text: `nothing is written to the replica any more: ${ownership.what}`,
    });
}

async function look(forge: Owned, refused: boolean): Promise<Ownership> {
  const { config, secrets } = forge;
  const store = openReplicaStore(config.replica, secrets.storage);
  const me = ownerOf(forge);
  const owner = await readOwner(store);
  if (owner === undefined && wasClaimed(forge.store, config.replica))
    return {
      is: 'missing',
      what: `The replica at ${store.describe} is not the one that was there: it is empty of what this server wrote.`,
      next: 'If it is a disk, mount it: all goes on by itself. If it was emptied on purpose: fossilrepo install --fresh-replica writes all of it anew.',
    };
  if (owner !== undefined && mayRunHere(owner, me) && !refused && !wasOursInBoot(forge.store, me.boot))
    return {
      is: 'asking',
      what: `This server was started a moment ago, and asks at ${store.describe} whether a copy of it runs elsewhere.`,
      next: 'Wait some seconds: what is pushed is taken, and sent when nobody answers.',
    };
  if (owner === undefined || !isSettled(owner, me))
    try {
      await claimOwner(store, me);
    } catch (error) {
      if (owner === undefined || isMe(owner, me) || !(error instanceof OperatorError)) throw error;
      return { is: 'foreign', what: error.message, next: error.next ?? '' };
    }
  noteBoot(forge.store, me.boot);
  if (isElsewhere(forge.store, config.replica)) return { is: 'new' };
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

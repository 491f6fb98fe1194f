import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { wasClaimed } from '../backup/fence.ts';
import { explained } from '../backup/directory-store.ts';
import { checkOwner, type Me, ownerConflict, thisOwner } from '../backup/owner.ts';
import { ownerOf } from '../backup/ownership.ts';
import { openReplicaStore } from '../backup/open.ts';
import { replicaPlace } from '../backup/location.ts';
import { probeReplica } from '../backup/probe.ts';
import type { ReplicaStore } from '../backup/store.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import type { Server } from '../server.ts';
import { knownInstance, openStore } from '../store/store.ts';
import type { Preflight } from './preflight.ts';

/**
 * Writes, reads, lists and deletes in the replica, and asks whose it is. A folder that isn't there yet is tried and taken away again.
 * @param fresh whether it may be empty though this server wrote there before
 */
export async function checkReplica(
  server: Pick<Server, 'config' | 'paths'>,
  keys: StorageCredentials | undefined,
  fresh = false,
): Promise<Preflight[]> {
  const { config, paths } = server;
  const place = replicaPlace(config.replica);
  if (place.kind === 's3' && keys === undefined)
    return [
      {
        what: 'replica',
        verdict: 'refuse',
        message: `There are no keys for the storage at ${config.replica.url}.`,
        next: `Give them with fossilrepo install --storage-keys FILE, in the format of ~/.aws/credentials.`,
      },
    ];
  let made: string | undefined;
  try {
    if (place.kind === 'directory') {
      made = makeFolder(place.folder, place.folder === paths.replica);
    }
    const store = openReplicaStore(config.replica, keys);
    await probeReplica(store);
    const former = existsSync(paths.database) ? formerly(server) : undefined;
    const me = former?.me ?? thisOwner({ instance: '', root: paths.root, generation: 0 });
    const state = await checkOwner(store, me);
    if (former?.claimed === true && !fresh && state === 'missing')
      return [
        {
          what: 'replica',
          verdict: 'refuse',
          message: `The replica at ${store.describe} is empty of what this server wrote there.`,
          next: 'If it is a disk, mount it. If it was emptied on purpose: fossilrepo install --fresh-replica writes all of it anew.',
        },
      ];
    const conflict = await ownerConflict(store, me);
    if (conflict) return [{ what: 'replica', verdict: 'refuse', ...conflict }];
    return [await whatItHolds(store, config.replica.url, me, state)];
  } catch (error) {
    const next = error instanceof OperatorError ? error.next : undefined;
    return [
      { what: 'replica', verdict: 'refuse', message: messageOf(error), ...(next !== undefined && { next }) },
    ];
  } finally {
    if (place.kind === 'directory' && made !== undefined) takeAway(place.folder, made);
  }
}

/** What becomes of what is there, for whoever is about to say yes. */
async function whatItHolds(
  store: ReplicaStore,
  url: string,
  { instance }: Me,
  state: Awaited<ReturnType<typeof checkOwner>>,
): Promise<Preflight> {
  const what = 'replica';
  const fine = (message: string): Preflight => ({ what, verdict: 'fine', message });
  if (state !== 'missing')
    return fine(`The replica at ${url} is this server's already: all that is in it stays, and it goes on.`);
  const other = await someHistory(store);
  if (other === undefined)
    return fine(`The replica at ${url} is empty: every commit goes there from now on.`);
  if (other === instance)
    return fine(`The replica at ${url} has something that this server wrote there: it stays.`);
  return {
    what,
    verdict: 'warn',
    message: `The replica at ${url} is not empty, though nothing says whose it is: ${other} is in it. That stays as it is; this server writes beside it.`,
    next: 'If it is a former server of yours, its histories are not part of this one. Give this one another prefix if they shall not lie together.',
  };
}

/** The first folder that something is in, or that this user may not read. */
async function someHistory(store: ReplicaStore): Promise<string | undefined> {
  try {
    for await (const { key } of store.list('', { limit: 10 }))
      if (!key.startsWith('probe-')) return key.split('/')[0];
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return 'something that may not be read';
  }
  return undefined;
}

/**
 * The default folder may be made with its parents; one that the operator names must be on a disk that is there.
 * @returns the uppermost that was made
 * @throws OperatorError
 */
function makeFolder(folder: string, isDefault: boolean): string | undefined {
  try {
    if (isDefault) return mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (existsSync(folder)) return undefined;
    if (!existsSync(dirname(folder)))
      throw new OperatorError(`There is no folder ${dirname(folder)} for the replica.`, {
        next: 'Mount the disk it is to be on, or make the folder.',
      });
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  } catch (error) {
    throw error instanceof OperatorError ? error : explained(folder, error);
  }
}

function takeAway(folder: string, uppermost: string): void {
  rmdirSync(folder);
  if (folder !== uppermost) takeAway(dirname(folder), uppermost);
}

/** What the server that is here says of itself; undefined when it has no identity yet. */
function formerly({
  config,
  paths,
}: Pick<Server, 'config' | 'paths'>): { me: Me; claimed: boolean } | undefined {
  using store = openStore(paths);
  const instance = knownInstance(store);
  if (instance === undefined) return undefined;
  const me = ownerOf({ instance, paths, store });
  return { me, claimed: wasClaimed(store, config.replica) };
}

import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { wasClaimed } from '../backup/fence.ts';
import { checkOwner, type Me, ownerConflict, thisOwner } from '../backup/owner.ts';
import { ownerOf } from '../backup/ownership.ts';
import { openReplicaStore } from '../backup/open.ts';
import { replicaPlace } from '../backup/location.ts';
import { probeReplica } from '../backup/probe.ts';
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
  const made = place.kind === 'directory' && !existsSync(place.folder);
  try {
    if (place.kind === 'directory' && made) makeFolder(place.folder, place.folder === paths.replica);
    const store = openReplicaStore(config.replica, keys);
    await probeReplica(store);
    const former = existsSync(paths.database) ? formerly(server) : undefined;
    if (former?.claimed === true && !fresh && (await checkOwner(store, former.me)) === 'missing')
      return [
        {
          what: 'replica',
          verdict: 'refuse',
          message: `The replica at ${store.describe} is empty of what this server wrote there.`,
          next: 'If it is a disk, mount it. If it was emptied on purpose: fossilrepo install --fresh-replica writes all of it anew.',
        },
      ];
    const conflict = await ownerConflict(
      store,
      former?.me ?? thisOwner({ instance: '', root: paths.root, generation: 0 }),
    );
    if (conflict) return [{ what: 'replica', verdict: 'refuse', ...conflict }];
  } catch (error) {
    const next = error instanceof OperatorError ? error.next : undefined;
    return [
      { what: 'replica', verdict: 'refuse', message: messageOf(error), ...(next !== undefined && { next }) },
    ];
  } finally {
    if (made) rmdirSync(place.folder);
  }
  return [
    {
      what: 'replica',
      verdict: 'fine',
      message: `${config.replica.url} can be written, read, listed and deleted from`,
    },
  ];
}

/** The default folder may be made with its parents; one that the operator names must be on a disk that is there. */
function makeFolder(folder: string, isDefault: boolean): void {
  if (!isDefault && !existsSync(dirname(folder)))
    throw new OperatorError(`There is no folder ${dirname(folder)} for the replica.`, {
      next: 'Mount the disk it is to be on, or make the folder.',
    });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
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

import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { ownerConflict } from '../backup/owner.ts';
import { openReplicaStore } from '../backup/open.ts';
import { replicaPlace } from '../backup/location.ts';
import { probeReplica } from '../backup/probe.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import type { Server } from '../server.ts';
import { instanceId, openStore } from '../store/store.ts';
import type { Preflight } from './preflight.ts';

/** Writes, reads, lists and deletes in the replica, and asks whose it is. A folder that isn't there yet is tried and taken away again. */
export async function checkReplica(
  server: Pick<Server, 'config' | 'paths'>,
  keys: StorageCredentials | undefined,
): Promise<Preflight[]> {
  const { config, paths } = server;
  const place = replicaPlace(config.replica);
  const made = place.kind === 'directory' && !existsSync(place.folder);
  try {
    if (place.kind === 'directory' && made) makeFolder(place.folder, place.folder === paths.replica);
    const store = openReplicaStore(config.replica, keys);
    await probeReplica(store);
    const instance = existsSync(paths.database) ? currentInstance(paths) : undefined;
    const conflict = await ownerConflict(store, instance);
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

function currentInstance(paths: Server['paths']): string | undefined {
  using store = openStore(paths);
  return instanceId(store);
}

import pMap from 'p-map';
import type { Forge } from '../forge.ts';
import { partKey, partOf, replicaPlace } from './location.ts';
import { openReplicaStore } from './open.ts';
import { type RecoveryWindow, recoveryWindow } from './window.ts';

/** The recovery window of each database, by id, from the storage's own lists. @throws OperatorError when it can't be reached */
export async function windowsOf(
  forge: Pick<Forge, 'config' | 'secrets' | 'instance'>,
  ids: readonly string[],
): Promise<Map<string, RecoveryWindow>> {
  const { config, secrets, instance } = forge;
  const store = openReplicaStore(config.replica, secrets.storage);
  const place = replicaPlace(config.replica);
  const one = async (id: string) => {
    const key = partKey(instance, partOf(id));
    return [id, await recoveryWindow(store, place, key)] as const;
  };
  return new Map(await pMap(ids, one, { concurrency: 16 }));
}

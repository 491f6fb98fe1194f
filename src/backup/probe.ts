import { randomUUID } from 'node:crypto';
import { OperatorError } from '../errors.ts';
import type { ReplicaStore } from './store.ts';

/**
 * Writes, reads, lists and deletes an object of its own: all that replication needs of the storage.
 * @throws OperatorError with the cause and what to do; the object is taken away again if the storage lets it
 */
export async function probeReplica(store: ReplicaStore): Promise<void> {
  const key = `probe-${randomUUID()}`;
  const text = `fossilrepo looks whether it can write here: ${key}\n`;
  await store.put(key, text);
  try {
    if ((await store.get(key)) !== text) throw unfit(store, 'gives back something else than was written');
    if (!(await isListed(store, key))) throw unfit(store, 'does not list what was written');
  } catch (error) {
    await store.delete(key).catch(() => undefined);
    throw error;
  }
  await store.delete(key);
  if ((await store.get(key)) !== undefined) throw unfit(store, 'keeps what was deleted');
}

async function isListed(store: ReplicaStore, key: string): Promise<boolean> {
  for await (const object of store.list(key, { limit: 1 })) return object.key === key;
  return false;
}

function unfit(store: ReplicaStore, does: string): OperatorError {
  return new OperatorError(`${store.describe} ${does}.`, {
    next: 'Use a storage that is consistent at once; a cache between server and storage has to be switched off.',
  });
}

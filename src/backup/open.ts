import type { StorageCredentials } from '../secrets/storage.ts';
import { directoryStore } from './directory-store.ts';
import type { StoredHistory } from './history.ts';
import { partKey, type ReplicaConfig, type ReplicaPart, replicaPlace } from './location.ts';
import { s3Store } from './s3-store.ts';
import type { ReplicaStore } from './store.ts';

type Opened = { keys: StorageCredentials | undefined; store: ReplicaStore };

/** By configuration, as it was read: each S3 client has connections of its own, and a restore of many asks thousands of times. */
const opened = new WeakMap<ReplicaConfig, Opened>();

/**
 * The storage that the configuration names. Nothing is connected to before the first call; called again with the same configuration and keys
 * it is the same one.
 * @throws OperatorError (configuration) when the address can't be used
 */
export function openReplicaStore(replica: ReplicaConfig, keys: StorageCredentials | undefined): ReplicaStore {
  const before = opened.get(replica);
  if (before !== undefined && before.keys === keys) return before.store;
  const place = replicaPlace(replica);
  const store =
    place.kind === 'directory'
      ? directoryStore(place.folder)
      : s3Store(place, keys && { accessKeyId: keys.id, secretAccessKey: keys.secret.reveal() });
  opened.set(replica, { keys, store });
  return store;
}

/** An instance's replica: what says where it is, and the keys to it. */
export type Replica = {
  config: { replica: ReplicaConfig };
  secrets: { storage: StorageCredentials | undefined };
  instance: string;
};

/** One database's history in a replica. @throws OperatorError (configuration) when the address can't be used */
export const storedHistory = ({ config, secrets, instance }: Replica, part: ReplicaPart): StoredHistory => ({
  store: openReplicaStore(config.replica, secrets.storage),
  kind: replicaPlace(config.replica).kind,
  key: partKey(instance, part),
});

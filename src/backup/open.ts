import type { StorageCredentials } from '../secrets/storage.ts';
import { directoryStore } from './directory-store.ts';
import { type ReplicaConfig, replicaPlace } from './location.ts';
import { s3Store } from './s3-store.ts';
import type { ReplicaStore } from './store.ts';

/**
 * The storage that the configuration names. Nothing is connected to before the first call.
 * @throws OperatorError (configuration) when the address can't be used
 */
export function openReplicaStore(replica: ReplicaConfig, keys: StorageCredentials | undefined): ReplicaStore {
  const place = replicaPlace(replica);
  if (place.kind === 'directory') return directoryStore(place.folder);
  return s3Store(place, keys && { accessKeyId: keys.id, secretAccessKey: keys.secret.reveal() });
}

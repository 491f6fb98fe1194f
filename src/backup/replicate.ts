import { join } from 'node:path';
import { template } from '../plan/server.ts';
import type { Forge } from '../forge.ts';
import { litestreamOf } from '../inspect/wish.ts';
import { readTemplates } from '../inspect/templates.ts';
import type { Repository } from '../store/repositories.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';
import { ControlError } from './control.ts';
import { refuseWhileFenced } from './fence.ts';
import { partKey, replicaUrl } from './location.ts';
import { openReplicaStore } from './open.ts';

type Replicating = Pick<Forge, 'config' | 'paths' | 'store' | 'litestream' | 'instance' | 'secrets'>;

/** Makes Litestream's configuration follow the management database, for its next start. @returns whether it differed */
export function writeLitestreamConfig(forge: Pick<Forge, 'config' | 'paths' | 'store'>): boolean {
  const text = litestreamOf(forge, template(readTemplates(), 'litestream.yml'), forge.store);
  if (readIfThere(forge.paths.litestreamConfig) === text) return false;
  writeAtomic(forge.paths.litestreamConfig, text, 0o640);
  return true;
}

/**
 * Starts replicating a repository and returns when all of it is in the replica.
 * @throws OperatorError when the replica isn't ours to write to; ControlError
 */
export async function replicateNow(
  forge: Replicating,
  repository: Pick<Repository, 'id' | 'file'>,
): Promise<void> {
  refuseWhileFenced(forge.store);
  writeLitestreamConfig(forge);
  const file = join(forge.paths.data, repository.file);
  await forge.litestream.register(
    file,
    replicaUrl(forge.config.replica, forge.instance, `repos/${repository.id}`),
  );
  await forge.litestream.syncNow(file);
}

/** Stops replicating a file; what was sent stays. Not replicating it already is fine. @throws ControlError */
export async function stopReplicating(forge: Pick<Forge, 'litestream'>, file: string): Promise<void> {
  await forge.litestream.unregister(file).catch((error: unknown) => {
    if (!(error instanceof ControlError) || error.reason !== 'unknown') throw error;
  });
}

/** Destroys a repository's history in the replica. */
export async function eraseHistory(forge: Replicating, id: string): Promise<void> {
  const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
  for await (const { key } of store.list(`${partKey(forge.instance, `repos/${id}`)}/`))
    await store.delete(key);
}

import { join } from 'node:path';
import { missingKeys } from '../plan/litestream.ts';
import { template } from '../plan/server.ts';
import { litestreamState } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { litestreamOf } from '../inspect/wish.ts';
import { readTemplates } from '../inspect/templates.ts';
import { listRepositories, type Repository } from '../store/repositories.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';
import { failedAs } from './control.ts';
import { isFenced, refuseWhileFenced } from './fence.ts';
import { saveHighWater } from './high-water.ts';
import { keepSingle } from './last-single.ts';
import { managementId, partOf, replicaUrl, transactionsOf } from './location.ts';
import { storedHistory } from './open.ts';
import { takenOut } from './taken-out.ts';
import { inReplica } from './window.ts';
import { deleteAll } from './store.ts';

type Replicating = Pick<Forge, 'config' | 'paths' | 'store' | 'litestream' | 'instance' | 'secrets'>;

/** Every database that Litestream shall replicate now, by its file, with its replica's address. */
export function replicatedDatabases({
  paths,
  store,
  config,
  instance,
}: Pick<Forge, 'paths' | 'store' | 'config' | 'instance'>): Map<string, string> {
  const rows = listRepositories(store, { hidden: true }).filter(({ state }) => state === 'active');
  return new Map(
    [
      { id: managementId, path: paths.database },
      ...rows.map(({ id, file }) => ({ id, path: join(paths.data, file) })),
    ].map(({ id, path }) => [path, replicaUrl(config.replica, instance, partOf(id))]),
  );
}

/**
 * Makes Litestream's configuration follow the management database, for its next start. A template that lacks something goes live nowhere,
 * but for a replica that isn't ours, where the point is that no database is listed.
 * @returns whether it was written, and the keys for whose sake it was not
 */
export function writeLitestreamConfig(forge: Pick<Forge, 'config' | 'paths' | 'store'>): {
  written: boolean;
  lacking: string[];
} {
  const written = template(readTemplates(), 'litestream.yml');
  const { text } = litestreamOf(forge, written, forge.store);
  if (readIfThere(forge.paths.litestreamConfig) === text) return { written: false, lacking: [] };
  const lacking = isFenced(forge) ? [] : missingKeys(written);
  if (lacking.length === 0) writeAtomic(forge.paths.litestreamConfig, text, 0o640);
  return { written: lacking.length === 0, lacking };
}

/**
 * Starts replicating a repository and returns when all of it is in the replica.
 * @throws OperatorError when the replica isn't ours to write to; ControlError
 */
export async function replicateNow(
  forge: Replicating,
  repository: Pick<Repository, 'id' | 'file'>,
): Promise<void> {
  refuseWhileFenced(forge);
  writeLitestreamConfig(forge);
  const file = join(forge.paths.data, repository.file);
  await forge.litestream.register(
    file,
    replicaUrl(forge.config.replica, forge.instance, `repos/${repository.id}`),
  );
  await forge.litestream.syncNow(file);
}

/**
 * Stops replicating a repository whose name is closed, when all of it is in the replica: Litestream sends the rest as it lets go, and
 * the storage itself is asked for it. How far it is there is written down at once, since nobody looks at it from here on.
 * @throws OperatorError when it isn't there; it is replicated as before then
 */
export async function finishReplicating(
  forge: Replicating,
  repository: Pick<Repository, 'id' | 'file'>,
): Promise<void> {
  refuseWhileFenced(forge);
  const { config, instance, litestream } = forge;
  const file = join(forge.paths.data, repository.file);
  const url = replicaUrl(config.replica, instance, `repos/${repository.id}`);
  // A command that was killed had let go of it: what came since then is sent only after a first look.
  if (!(await litestream.register(file, url)).already) await litestream.syncNow(file);
  const { txid = 0, why } = await litestream.unregister(file);
  try {
    if (why === undefined && (await canBeGoneOn(forge, repository.id, { file, txid }))) {
      if (txid > 0) saveHighWater(forge.store, new Map([[repository.id, txid]]));
      return;
    }
    throw new OperatorError(
      why ?? `Transaction ${txid} of ${file} is not in the replica, though Litestream sent it.`,
      {
        next: 'See fossilrepo backup status, and fossilrepo logs replication.',
      },
    );
  } catch (error) {
    await litestream.register(file, url);
    throw error;
  }
}

/** Whether the last transaction is in the replica, and lies there by itself: Litestream goes on behind it without what is beside the file. */
async function canBeGoneOn(
  forge: Replicating,
  id: string,
  last: { file: string; txid: number },
): Promise<boolean> {
  const stored = storedHistory(forge, partOf(id));
  return (await inReplica(stored, last.txid)) && (await keepSingle(stored, last));
}

/** Stops replicating a file; what was sent stays. Not replicating it already is fine. @throws ControlError */
export async function stopReplicating(forge: Pick<Forge, 'litestream'>, file: string): Promise<void> {
  await forge.litestream.unregister(file).catch((error: unknown) => {
    if (!failedAs(error, 'unknown')) throw error;
  });
}

/**
 * Stops replicating a repository whose file is gone or damaged. What was pushed to it last may lie in what Litestream keeps beside it alone.
 * @throws OperatorError when it does: the state of another file takes that place
 */
export async function abandonReplicating(
  forge: Replicating,
  repository: Pick<Repository, 'id' | 'file'>,
): Promise<void> {
  const file = join(forge.paths.data, repository.file);
  await stopReplicating(forge, file);
  const newest = takenOut(file).at(-1);
  const txid = newest === undefined ? 0 : (transactionsOf(newest)?.max ?? 0);
  if (txid === 0 || (await canBeGoneOn(forge, repository.id, { file, txid }))) return;
  throw new OperatorError(
    `What was pushed last to ${file} is not in the replica (transaction ${txid}): Litestream could not send it.`,
    {
      next: `It lies in ${litestreamState(file)}. Run the command again in a moment; to go on without it, move that folder away before.`,
    },
  );
}

/** Destroys a repository's history in the replica. @throws OperatorError when the replica isn't ours to write to */
export async function eraseHistory(
  forge: Pick<Forge, 'config' | 'instance' | 'secrets' | 'store'>,
  id: string,
): Promise<void> {
  refuseWhileFenced(forge);
  const { store, key } = storedHistory(forge, partOf(id));
  await deleteAll(store, `${key}/`);
}

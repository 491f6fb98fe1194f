import { join } from 'node:path';
import { managementId } from '../backup/location.ts';
import {
  noneWhenDamaged,
  readHighWater,
  saveHighWater,
  savedHighWater,
  writeHighWater,
} from '../backup/high-water.ts';
import { openReplicaStore } from '../backup/open.ts';
import type { Forge } from '../forge.ts';
import { listRepositories } from '../store/repositories.ts';

/** Notes how far each database is in the replica. */
export type HighWaterKeeper = {
  /** All of a file up to a transaction was seen to be in the replica. */
  note: (file: string, txid: number) => void;
  /** Writes what was noted since the last time beside the replica. @throws OperatorError when the storage can't be written */
  publish: () => Promise<void>;
  /** The same into the management database, more seldom: each time is a transaction there, which is replicated itself. */
  save: () => void;
  /** What was noted is of former histories. While `work` makes them begin anew nothing is published; then what is written down counts alone. */
  forget: <T>(work: () => Promise<T>) => Promise<T>;
};

/** Keeps the high-water marks up to date: `backup/high-water.ts` says what they are for. */
export function keepHighWater(
  forge: Pick<Forge, 'config' | 'secrets' | 'instance' | 'store' | 'paths' | 'litestream'>,
): HighWaterKeeper {
  const noted = new Map<string, number>();
  let published: Map<string, number> | undefined;
  /** One after the other: nothing of former histories may arrive in the replica after they were forgotten. */
  let publishing: Promise<void> = Promise.resolve();

  /** By id. The canary's is left out of the database: it alone would change every minute. */
  const marks = (options: { hidden: boolean }): Map<string, number> =>
    new Map(
      listRepositories(forge.store, options).flatMap(({ id, file }) => {
        const txid = noted.get(join(forge.paths.data, file));
        return txid === undefined ? [] : [[id, txid] as const];
      }),
    );

  const publish = async (): Promise<void> => {
    const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
    published ??= new Map([
      ...savedHighWater(forge.store),
      ...(await readHighWater(store, forge.instance).catch(noneWhenDamaged)),
    ]);
    const { replicatedTxid } = await forge.litestream.syncNow(forge.paths.database, 5_000);
    const now = new Map(published);
    for (const [id, txid] of [...marks({ hidden: true }), [managementId, replicatedTxid] as const])
      now.set(id, Math.max(txid, now.get(id) ?? 0));
    if ([...now].every(([id, txid]) => published?.get(id) === txid)) return;
    await writeHighWater(store, forge.instance, now);
    published = now;
  };

  return {
    note: (file, txid) => {
      noted.set(file, Math.max(noted.get(file) ?? 0, txid));
    },
    publish: () => {
      const done = publishing.then(publish);
      publishing = done.catch(() => undefined);
      return done;
    },
    save: () => {
      const saved = savedHighWater(forge.store);
      const higher = [...marks({ hidden: false })].filter(([id, txid]) => txid > (saved.get(id) ?? 0));
      if (higher.length > 0) saveHighWater(forge.store, new Map(higher));
    },
    forget: (work) => {
      const done = publishing.then(() => {
        noted.clear();
        published = undefined;
        return work();
      });
      publishing = done.then(
        () => undefined,
        () => undefined,
      );
      return done;
    },
  };
}

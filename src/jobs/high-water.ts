import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import pMap from 'p-map';
import type { Database } from '../backup/begin-anew.ts';
import { isFenced } from '../backup/fence.ts';
import {
  type HighWater,
  highest,
  noneWhenDamaged,
  readHighWater,
  saveHighWater,
  savedHighWater,
  writeHighWater,
} from '../backup/high-water.ts';
import { managementId, type ReplicaConfig, transactionsOf } from '../backup/location.ts';
import { openReplicaStore } from '../backup/open.ts';
import { takenOut } from '../backup/taken-out.ts';
import type { Forge } from '../forge.ts';
import { allRepositories, findRepository, listRepositories } from '../store/repositories.ts';

/** Notes how far each database is in the replica. */
export type HighWaterKeeper = {
  /** All of a repository's file up to a transaction was seen to be in the replica. */
  note: (file: string, txid: number) => void;
  /** Notes of each repository what nobody was told of: what was sent while the server was down, or to a replica that is new. */
  look: () => Promise<void>;
  /** Writes what was noted since the last time beside the replica. @throws OperatorError when the storage can't be written */
  publish: () => Promise<void>;
  /** The same into the management database, more seldom: each time is a transaction there, which is replicated itself. */
  save: () => void;
  /**
   * What was noted of these databases is of former histories. While `work` makes them begin anew nothing is published, and nothing noted
   * of them; then what is written down counts alone.
   */
  forget: <T>(databases: readonly Pick<Database, 'id'>[], work: () => Promise<T>) => Promise<T>;
};

type Marking = Pick<Forge, 'instance' | 'store' | 'paths' | 'litestream'> & {
  config: { replica: ReplicaConfig };
  secrets: Pick<Forge['secrets'], 'storage'>;
};

/** How many databases are asked for at the same time, and how long one may take to answer. Milliseconds. */
const asking = { atOnce: 4, patience: 5_000 };

/** Keeps the high-water marks up to date: `backup/high-water.ts` says what they are for. */
export function keepHighWater(forge: Marking): HighWaterKeeper {
  /** By id: a name may become another's. */
  const noted = new Map<string, number>();
  /** Those that are made to begin anew now. */
  const beginning = new Set<string>();
  let published: HighWater | undefined;
  /** One after the other: nothing of former histories may arrive in the replica after they were forgotten. */
  let publishing: Promise<void> = Promise.resolve();

  const note = (id: string, txid: number): void => {
    if (!beginning.has(id)) noted.set(id, Math.max(noted.get(id) ?? 0, txid));
  };

  /** Of one that was purged nothing is kept: its file may come back, and begins with the first transaction then. */
  const dropPurged = (...several: Map<string, number>[]): void => {
    const ids = new Set([managementId, ...allRepositories(forge.store).map(({ id }) => id)]);
    for (const marks of several) for (const id of marks.keys()) if (!ids.has(id)) marks.delete(id);
  };

  const publish = async (): Promise<void> => {
    const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
    published ??= await readHighWater(store, forge.instance).catch(noneWhenDamaged);
    const before = published;
    const { replicatedTxid } = await forge.litestream.syncNow(forge.paths.database, 5_000);
    const management = new Map([[managementId, replicatedTxid]]);
    const now = highest(before, savedHighWater(forge.store), noted, management);
    dropPurged(noted, now);
    if (now.size === before.size && [...now].every(([id, txid]) => before.get(id) === txid)) return;
    await writeHighWater(store, forge.instance, now);
    published = now;
  };

  /**
   * Active repositories of which Litestream took out more than is marked, and has been through with the replica since. That it is all there
   * it doesn't say so: a transaction may come in between, and of a long queue each 256 count (MaxSyncLTXFiles in its replica.go).
   */
  const unmarked = async (): Promise<Pick<Database, 'id' | 'file'>[]> => {
    const listed = await forge.litestream.list().catch(() => []);
    const sentAt = new Map(listed.map(({ path, lastSyncAt }) => [path, lastSyncAt?.getTime() ?? 0]));
    const marks = highest(savedHighWater(forge.store), noted);
    const found: Pick<Database, 'id' | 'file'>[] = [];
    for (const row of listRepositories(forge.store, { hidden: true })) {
      // A thousand folders take a fifth of a second: nobody else waits for that.
      await nextTurn();
      const file = join(forge.paths.data, row.file);
      const newest = row.state === 'active' && sentAt.has(file) ? takenOut(file).at(-1) : undefined;
      if (newest === undefined || (transactionsOf(newest)?.max ?? 0) <= (marks.get(row.id) ?? 0)) continue;
      const takenAt = statSync(newest, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
      if (takenAt < (sentAt.get(file) ?? 0)) found.push({ id: row.id, file });
    }
    return found;
  };

  return {
    note: (file, txid) => {
      const row = findRepository(forge.store, basename(file, '.fossil'));
      if (row && join(forge.paths.data, row.file) === file) note(row.id, txid);
    },
    look: async () => {
      if (isFenced(forge)) return;
      await pMap(
        await unmarked(),
        async ({ id, file }) => {
          const sent = await forge.litestream.syncNow(file, asking.patience).catch(() => undefined);
          // What can't be asked now is asked in a minute.
          if (sent) note(id, sent.replicatedTxid);
        },
        { concurrency: asking.atOnce },
      );
    },
    publish: () => {
      const done = publishing.then(publish);
      publishing = done.catch(() => undefined);
      return done;
    },
    save: () => {
      const saved = savedHighWater(forge.store);
      // The canary's is left out: it alone would change every minute.
      const higher = listRepositories(forge.store).flatMap(({ id }) => {
        const txid = noted.get(id) ?? 0;
        return txid > (saved.get(id) ?? 0) ? [[id, txid] as const] : [];
      });
      if (higher.length > 0) saveHighWater(forge.store, new Map(higher));
    },
    forget: (databases, work) => {
      const done = publishing.then(async () => {
        for (const { id } of databases) {
          beginning.add(id);
          noted.delete(id);
        }
        published = undefined;
        try {
          return await work();
        } finally {
          for (const { id } of databases) beginning.delete(id);
        }
      });
      publishing = done.then(
        () => undefined,
        () => undefined,
      );
      return done;
    },
  };
}

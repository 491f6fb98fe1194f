import { join } from 'node:path';
import pMap from 'p-map';
import { messageOf, OperatorError } from '../errors.ts';
import type { Secret } from '../secrets/secret.ts';
import { type Bundle, openBundle } from '../secrets/bundle/format.ts';
import { allRepositories, type Repository } from '../store/repositories.ts';
import { instanceId, NewerDatabase, openStore, type Store } from '../store/store.ts';
import { withTemporaryFolder } from '../system/files.ts';
import { newestBundle, readBundle } from './bundles.ts';
import { fetchRemote, findRemote, refuseLostEnd, type ReplicaSource } from './fetch.ts';
import { type HighWater, knownTxid, readHighWater } from './high-water.ts';
import { managementId } from './location.ts';
import { openReplicaStore, storedHistory } from './open.ts';
import { type RecoveryWindow, recoveryWindow } from './window.ts';

/** A server as its replica has it. */
export type FormerServer = {
  instance: string;
  /** Undefined when nobody has the recovery key any more. */
  secrets: FormerSecrets | undefined;
  /** From when to when it can be brought back. */
  window: RecoveryWindow;
  repositories: FormerRepository[];
  /** With an instant: those that were made after it, which stay in the replica and don't come back. */
  later: LaterRepository[];
  /** Whether the replica says how far each history went: without that a lost end can't be told from one that never was. */
  marked: boolean;
};

/** Its configuration, secrets, certificates, as of `sealedAt`; `recipient` is the public half of the key that opened them. */
export type FormerSecrets = { bundle: Bundle; sealedAt: Date; recipient: string };

/**
 * A repository of it. `bytes` is its size, `toRead` what has to be read for it, `takenAt` from when its state is; `error` why it can't be
 * brought back.
 */
export type FormerRepository = Pick<Repository, 'id' | 'name' | 'state'> & {
  bytes: number;
  toRead: number;
  takenAt: Date | null;
  error: string | null;
};

/** `name` is undefined where the newest management database can't be read, `state` as well. */
export type LaterRepository = { id: string; name?: string; state?: Repository['state'] };

/** @throws OperatorError when there is no bundle, or the recovery key doesn't open it */
export async function readFormerBundle(
  source: ReplicaSource,
  identity: Secret,
  at: Date | undefined,
): Promise<{ bundle: Bundle; at: Date }> {
  const store = openReplicaStore(source.config.replica, source.secrets.storage);
  const stored = await newestBundle(store, source.instance, at);
  if (stored === undefined)
    throw new OperatorError(`There is no bundle of the server's secrets in ${store.describe}.`, {
      next: 'Bring the server back without them: --without-secrets.',
    });
  return { bundle: await openBundle(await readBundle(store, stored), identity), at: stored.at };
}

/**
 * Writes the management database of an instant into a new file, brings its tables up to date, and looks whether it is that server's.
 * @throws OperatorError when it is not, is damaged, or a newer fossilrepo's
 */
export async function fetchManagement(
  source: ReplicaSource,
  at: Date | undefined,
  file: string,
): Promise<void> {
  const known = await highWaterOf(source);
  const remote = await findRemote(source, managementId, { at, known: known.get('management') ?? 0 });
  await fetchRemote(source, remote, file);
  using store = openFetched(file);
  const [said] = store.database.prepare('PRAGMA integrity_check').all();
  if (said?.['integrity_check'] !== 'ok')
    throw new OperatorError(
      `The management database is damaged in that state: ${String(said?.['integrity_check'])}`,
      {
        next: 'Choose an earlier time: --at.',
        exit: 'check',
      },
    );
  if (instanceId(store) !== source.instance)
    throw new OperatorError('What the replica has as the management database is of another server.', {
      exit: 'check',
    });
}

function openFetched(database: string): Store {
  try {
    return openStore({ database }, { create: false });
  } catch (error) {
    if (!(error instanceof NewerDatabase)) throw error;
    throw new OperatorError('The server in the replica was run by a newer fossilrepo than this one.', {
      next: 'Bring it back with that version or a newer one, or as it was before its upgrade: --at.',
      cause: error,
    });
  }
}

/** Everything that a management database names, and whether the replica has it. Reads lists and headers only. */
export async function surveyFormer(
  source: ReplicaSource,
  at: Date | undefined,
  database: string,
): Promise<Pick<FormerServer, 'window' | 'repositories' | 'later' | 'marked'>> {
  const beside = await highWaterOf(source);
  const window = await recoveryWindow(storedHistory(source, managementId));
  using store = openStore({ database }, { create: false });
  const one = async ({ id, name, state }: Repository): Promise<FormerRepository> => {
    try {
      const known = knownTxid(store, id, beside);
      const remote = await findRemote(source, `repos/${id}`, { at, known });
      await refuseLostEnd(source, remote, { id });
      const { files, databaseBytes, takenAt } = remote.moment;
      const toRead = files.reduce((sum, { bytes }) => sum + bytes, 0);
      return { id, name, state, bytes: databaseBytes, toRead, takenAt, error: null };
    } catch (error) {
      return { id, name, state, bytes: 0, toRead: 0, takenAt: null, error: messageOf(error) };
    }
  };
  const rows = allRepositories(store).filter(({ state }) => state !== 'creating');
  const repositories = await pMap(rows, one, { concurrency: 16 });
  const last = Math.max(...[window.to, ...repositories.map(({ takenAt }) => takenAt)].map(Number));
  const to = window.to && new Date(last);
  const known = new Set(allRepositories(store).map(({ id }) => id));
  const newest = at === undefined ? [] : await newestRepositories(source, beside);
  const later = newest.filter(({ id }) => !known.has(id));
  return { window: { ...window, to }, repositories, later, marked: beside.size > 0 };
}

/** What the server had last. That may be damaged: whoever goes back to before it is told the ids then, which lie beside the histories. */
async function newestRepositories(source: ReplicaSource, beside: HighWater): Promise<LaterRepository[]> {
  try {
    return await withTemporaryFolder(async (folder) => {
      const database = join(folder, 'newest.db');
      await fetchManagement(source, undefined, database);
      using store = openStore({ database }, { create: false });
      return allRepositories(store)
        .filter(({ state, hidden }) => state !== 'creating' && !hidden)
        .map(({ id, name, state }) => ({ id, name, state }));
    });
  } catch {
    return [...beside.keys()].filter((id) => id !== managementId).map((id) => ({ id }));
  }
}

const highWaterOf = ({ config, secrets, instance }: ReplicaSource) =>
  readHighWater(openReplicaStore(config.replica, secrets.storage), instance);

/** The bundle's fossilrepo.yaml. @throws OperatorError when there is none in it */
export function configurationIn(bundle: Bundle, configFile: string, root: string): string {
  const found = bundle.files.find(({ path }) => join(root, path) === configFile);
  if (found) return Buffer.from(found.base64, 'base64').toString('utf8');
  throw new OperatorError('The bundle holds no fossilrepo.yaml.', { next: 'See who made this bundle.' });
}

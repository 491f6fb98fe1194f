import type { Config } from '../config/config.ts';
import { OperatorError } from '../errors.ts';

/** The part of the configuration that says where the replica is. */
export type ReplicaConfig = Pick<Config['replica'], 'url' | 'endpoint' | 'region'>;

/** Where the replica is, taken apart. `prefix` and `folder` have no slash at the end. */
export type ReplicaPlace =
  | { kind: 'directory'; folder: string }
  | { kind: 's3'; bucket: string; prefix: string; endpoint: string | undefined; region: string };

/** What is replicated below one instance: each repository by its id, and the management database. */
export type ReplicaPart = `repos/${string}` | typeof managementId;

/** The management database's place among the databases: it is replicated like a repository, but is none. */
export const managementId = 'management';

/** Where a database lies below its instance. @param id a repository's id, or `managementId` */
export const partOf = (id: string): ReplicaPart => (id === managementId ? managementId : `repos/${id}`);

/**
 * Litestream percent-encodes everything else in a `file:` URL and then takes the result for the folder's name
 * (ParseReplicaURLWithQuery in its replica_url.go), so that it would write to another folder than we read.
 */
const plain = /^[\w.~/+,:=-]*$/;

/** @throws OperatorError (configuration) for a folder or prefix that Litestream would write to under another name */
export function replicaPlace(replica: ReplicaConfig): ReplicaPlace {
  const [, scheme, rest] = /^(file|s3):\/\/(.*)$/.exec(replica.url) ?? [];
  if (rest === undefined || !plain.test(rest))
    throw new OperatorError(`The replica's address ${replica.url} can't be used.`, {
      next: 'Use file:///FOLDER or s3://BUCKET/PREFIX with letters, digits and - _ . ~ / + , : = only.',
      exit: 'configuration',
    });
  if (scheme === 'file') return { kind: 'directory', folder: tidy(rest) || '/' };
  const slash = rest.indexOf('/');
  return {
    kind: 's3',
    bucket: slash === -1 ? rest : rest.slice(0, slash),
    prefix: slash === -1 ? '' : tidy(rest.slice(slash)).slice(1),
    endpoint: replica.endpoint,
    region: replica.region,
  };
}

/** The key of a part below the replica's address: `<instance>/repos/<id>`. */
export const partKey = (instance: string, part: ReplicaPart): string => `${instance}/${part}`;

/**
 * The address of one database's replica as Litestream takes it, in its configuration (`url:`) and over its control socket alike.
 * It holds no keys.
 * @throws OperatorError (configuration) as `replicaPlace`
 */
export function replicaUrl(replica: ReplicaConfig, instance: string, part: ReplicaPart): string {
  const place = replicaPlace(replica);
  const key = partKey(instance, part);
  if (place.kind === 'directory') return `file://${place.folder === '/' ? '' : place.folder}/${key}`;
  const path = place.prefix === '' ? key : `${place.prefix}/${key}`;
  const options = new URLSearchParams({ region: place.region });
  if (place.endpoint !== undefined) {
    options.set('endpoint', place.endpoint);
    // Litestream's configuration knows this option only in this spelling, its socket in both.
    options.set('forcePathStyle', 'true');
  }
  return `s3://${place.bucket}/${path}?${options.toString()}`;
}

/** Litestream keeps full snapshots on this level, single transactions on 0, what it merged of them between. */
export const snapshotLevel = 9;

/** Litestream's levels, as templates/litestream.yml sets them up: each holds the one before it merged, the last one snapshots. */
export const levels = [0, 1, 2, snapshotLevel] as const;

/** A transaction's number as Litestream writes it: 16 hexadecimal digits. */
export const hexTxid = (txid: number): string => txid.toString(16).padStart(16, '0');

/** Where one database's history lies: Litestream lays it out in a folder otherwise than in S3. `key` is `partKey(instance, part)`. */
export type HistoryPlace = { kind: ReplicaPlace['kind']; key: string };

/** The key below which Litestream keeps one level's files of a database: `…/ltx/0/` in a directory, `…/0000/` in S3. */
export function levelKey({ kind, key }: HistoryPlace, level: number): string {
  return kind === 'directory' ? `${key}/ltx/${level}/` : `${key}/${String(level).padStart(4, '0')}/`;
}

/** The level that an object of a database belongs to; undefined for any other object. */
export const levelOf = (place: HistoryPlace, object: string): (typeof levels)[number] | undefined =>
  levels.find((level) => {
    const folder = levelKey(place, level);
    return object.startsWith(folder) && !object.includes('/', folder.length);
  });

/** What an LTX file's name says: it holds the transactions `min` to `max`, both included. Undefined for any other file. */
export function transactionsOf(key: string): { min: number; max: number } | undefined {
  const [, min, max] = /(?:^|\/)([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/.exec(key) ?? [];
  return min === undefined || max === undefined
    ? undefined
    : { min: Number.parseInt(min, 16), max: Number.parseInt(max, 16) };
}

function tidy(path: string): string {
  return `/${path
    .split('/')
    .filter((piece) => piece !== '')
    .join('/')}`.replace(/\/$/, '');
}

import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../../errors.ts';
import { readArtifact } from './artifact.ts';
import { type Manifest, type ManifestFile, readManifest, treeOf } from './manifest.ts';
import { digestOf, originOf } from './origin.ts';

/** A check-in that is exported. */
export type Checkin = {
  /** Its row in the file, which another copy of the repository numbers differently. */
  rid: number;
  hash: string;
  /** When it was made, as Fossil shows it now: an amended date counts. Milliseconds since 1970. */
  at: number;
  /** Those that are exported, the primary one first, the others by hash. */
  parents: readonly string[];
  /**
   * The whole tree by name, where it has a primary parent that is not exported (private, shunned, never received): Fossil's tables tell only the
   * difference from that.
   */
  tree: ReadonlyMap<string, ManifestFile> | undefined;
  /**
   * What besides the check-in itself decides its Git hash and can change: see `origin.ts`. When this is another one (`isSameOrigin`), it has
   * to be exported anew, and so have all that come after it.
   */
  origin: string;
};

/** Everything in a repository that everybody with a clone may see. */
export type History = {
  /** By hash; every parent comes before its children. */
  checkins: ReadonlyMap<string, Checkin>;
  /** Check-ins that wait for what they consist of, by hash: a push is at work, or was cut short. */
  waiting: ReadonlySet<string>;
};

/** How long a check-in waits for a parent or a file that was never received, from when it was received itself. Milliseconds. */
export const patience = 600_000;

/** What nobody with a clone gets: private, shunned, or known by name only. */
export const unavailable = `(size < 0 OR rid IN (SELECT rid FROM private) OR uuid IN (SELECT uuid FROM shun))`;

const isHash = (text: string): boolean => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);

type Found = {
  rid: number;
  hash: string;
  at: number;
  receivedAt: number;
  primary: number | undefined;
  others: number[];
  /** Changed files whose content is there, and a digest of their hashes where something is shunned. */
  files: number;
  digest: string | undefined;
  lacks: string[];
};

/**
 * Reads which check-ins there are to export, in a transaction of the caller's. A check-in is left out when it is private or shunned, and
 * as long as something that it consists of has not been received, for a while.
 * @param database has the repository attached as `live`
 * @param now milliseconds since 1970
 */
export function readHistory(database: DatabaseSync, now = Date.now()): History {
  requireTables(database);
  const found = findCheckins(database);
  link(database, found);
  const arriving = arrivals(database);
  const waits = new Set<number>();
  const checkins = new Map<string, Checkin>();
  for (const one of inOrder(found)) {
    const parents = [one.primary ?? [], ...one.others].flat();
    const recent = now - one.receivedAt < patience;
    if (
      parents.some((rid) => waits.has(rid) || (recent && arriving.has(rid))) ||
      (recent && one.lacks.some((hash) => arriving.has(hash)))
    ) {
      waits.add(one.rid);
      continue;
    }
    checkins.set(one.hash, checkinOf(database, one, found));
  }
  const waiting = [...found.values()].flatMap(({ hash }) => (checkins.has(hash) ? [] : [hash]));
  return { checkins, waiting: new Set(waiting) };
}

function findCheckins(database: DatabaseSync): Map<number, Found> {
  const rows = database
    .prepare(
      `SELECT b.rid, b.uuid, round((e.mtime - 2440587.5) * 86400000) AS at,
         round((r.mtime - 2440587.5) * 86400000) AS received
       FROM event e JOIN blob b ON b.rid = e.objid LEFT JOIN rcvfrom r USING (rcvid)
       WHERE e.type = 'ci' AND NOT ${unavailable} ORDER BY e.mtime, b.uuid`,
    )
    .all();
  const found = new Map<number, Found>();
  for (const row of rows) {
    const [rid, hash] = [Number(row['rid']), String(row['uuid'])];
    if (!isHash(hash)) continue;
    const receivedAt = Number(row['received'] ?? 0);
    const at = Number(row['at'] ?? 0);
    found.set(rid, { rid, hash, at, receivedAt, ...nothingLinked() });
  }
  return found;
}

const nothingLinked = () => ({ primary: undefined, others: [], files: 0, digest: undefined, lacks: [] });

function link(database: DatabaseSync, found: ReadonlyMap<number, Found>): void {
  for (const row of database.prepare('SELECT cid, pid, isprim FROM plink').iterate()) {
    const child = found.get(Number(row['cid']));
    if (child === undefined) continue;
    if (row['isprim']) child.primary = Number(row['pid']);
    else child.others.push(Number(row['pid']));
  }
  const changed = database.prepare(
    'SELECT mid, count(*) AS n FROM mlink WHERE fid > 0 AND NOT isaux GROUP BY mid',
  );
  for (const row of changed.iterate()) {
    const checkin = found.get(Number(row['mid']));
    if (checkin) checkin.files = Number(row['n']);
  }
  const lacking = database.prepare(
    `SELECT m.mid, b.uuid FROM blob b CROSS JOIN mlink m ON m.fid = b.rid WHERE ${unavailable} AND NOT m.isaux`,
  );
  for (const row of lacking.iterate()) {
    const checkin = found.get(Number(row['mid']));
    if (checkin === undefined) continue;
    checkin.files -= 1;
    checkin.lacks.push(String(row['uuid']));
  }
  if (database.prepare('SELECT 1 FROM shun').get() !== undefined) digestFiles(database, found);
}

/** One file may be shunned in another one's stead: their number is the same then. Takes its time, which most repositories need not spend. */
function digestFiles(database: DatabaseSync, found: ReadonlyMap<number, Found>): void {
  const there = database.prepare(
    `SELECT m.mid, group_concat(uuid, ' ') AS hashes FROM mlink m CROSS JOIN blob ON blob.rid = m.fid
     WHERE NOT m.isaux AND NOT ${unavailable} GROUP BY m.mid`,
  );
  for (const one of found.values()) one.digest = digestOf([]);
  for (const row of there.iterate()) {
    const checkin = found.get(Number(row['mid']));
    const hashes = String(row['hashes']).split(' ');
    if (checkin) checkin.digest = digestOf(hashes);
  }
}

/** What may still be received: named by something, never seen, and not shunned. By row and by hash. */
function arrivals(database: DatabaseSync): Set<number | string> {
  const rows = database
    .prepare('SELECT rid, uuid FROM blob WHERE size < 0 AND uuid NOT IN (SELECT uuid FROM shun)')
    .all();
  return new Set(rows.flatMap((row) => [Number(row['rid']), String(row['uuid'])]));
}

/** Parents before children, and a child straight after its parent where that is possible: Git then has its tree at hand. */
function* inOrder(found: ReadonlyMap<number, Found>): Generator<Found> {
  const children = new Map<number, Found[]>();
  const left = new Map<number, number>();
  const ready: Found[] = [];
  for (const one of found.values()) {
    const parents = new Set([one.primary ?? [], ...one.others].flat().filter((rid) => found.has(rid)));
    for (const rid of parents) {
      const siblings = children.get(rid);
      if (siblings) siblings.push(one);
      else children.set(rid, [one]);
    }
    left.set(one.rid, parents.size);
    if (parents.size === 0) ready.push(one);
  }
  ready.reverse();
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    yield next;
    for (const child of (children.get(next.rid) ?? []).toReversed()) {
      const missing = (left.get(child.rid) ?? 0) - 1;
      left.set(child.rid, missing);
      if (missing === 0) ready.push(child);
    }
  }
}

function checkinOf(database: DatabaseSync, one: Found, found: ReadonlyMap<number, Found>): Checkin {
  const hashOf = (rid: number) => found.get(rid)?.hash;
  const primary = one.primary === undefined ? undefined : hashOf(one.primary);
  const others = one.others.flatMap((rid) => hashOf(rid) ?? []).sort();
  const parents = [primary ?? [], ...others].flat();
  const severed = one.primary !== undefined && primary === undefined;
  const whole = severed ? availableTree(database, one.rid) : undefined;
  const digest =
    whole && one.digest !== undefined ? digestOf([...whole.values()].map(({ hash }) => hash)) : one.digest;
  const origin = originOf({ severed, parents, files: whole?.size ?? one.files, digest });
  return { rid: one.rid, hash: one.hash, at: one.at, parents, tree: whole, origin };
}

function availableTree(database: DatabaseSync, rid: number): Map<string, ManifestFile> {
  const find = database.prepare(`SELECT rid, NOT ${unavailable} AS there FROM blob WHERE uuid = ?`);
  const read = (hash: string): Manifest =>
    readManifest(readArtifact(database, Number(find.get(hash)?.['rid'] ?? 0)));
  const tree = treeOf(readManifest(readArtifact(database, rid)), read);
  return new Map([...tree].filter(([, { hash }]) => find.get(hash)?.['there'] === 1));
}

const tables: Readonly<Record<string, string>> = {
  blob: 'rid rcvid size uuid content',
  config: 'name value',
  delta: 'rid srcid',
  event: 'type mtime objid user comment omtime',
  filename: 'fnid name',
  mlink: 'mid fid fnid mperm isaux',
  plink: 'pid cid isprim',
  private: 'rid',
  rcvfrom: 'rcvid mtime',
  shun: 'uuid',
  tag: 'tagid tagname',
  tagxref: 'tagid tagtype value mtime rid',
  user: 'login info',
};

/** A view could run for ever, and tables of an old Fossil lack columns. */
function requireTables(database: DatabaseSync): void {
  const columns = database.prepare(
    `SELECT c.name FROM (SELECT name, sql FROM live.sqlite_schema WHERE type = 'table') s, pragma_table_info(s.name, 'live') c
     WHERE s.name = ? AND s.sql NOT LIKE 'CREATE VIRTUAL%'`,
  );
  for (const [table, wanted] of Object.entries(tables)) {
    const there = new Set(columns.all(table).map((row) => row['name']));
    const lacks = wanted.split(' ').filter((name) => !there.has(name));
    if (lacks.length > 0)
      throw new OperatorError(`This repository's table ${table} lacks ${lacks.join(', ')}.`, {
        next: 'It was made by an old Fossil: fossilrepo repo maintain writes its tables anew.',
      });
  }
}

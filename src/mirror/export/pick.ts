import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import { asOperatorError, openRepository } from '../../repos/open.ts';
import { type RefFacts, readRefFacts } from './facts.ts';
import { type Checkin, type History, readHistory, unavailable } from './history.ts';
import { isSameOrigin } from './origin.ts';

/** What a repository has that its cache has not, copied out of it. */
export type Picked = {
  /** Holds `checkin` and `change`, and has the cache's list attached as `known`. */
  database: DatabaseSync;
  history: History;
  facts: RefFacts;
  /** How many check-ins are to be exported. */
  fresh: number;
  /** Check-ins that the cache has and that are gone, or have other parents or files by now. */
  stale: readonly string[];
  /** The files, by Fossil's hash, whose content was copied. */
  files: ReadonlySet<string>;
  /** Who made the new check-ins, with what Fossil knows of them (`user.info`). */
  people: ReadonlyMap<string, string>;
  [Symbol.dispose]: () => void;
};

/**
 * Looks once, in one transaction, what there is to export, and copies that and nothing else into two files of our own: nothing waits for the
 * repository's lock afterwards, no push that comes meanwhile is seen in part, nothing private is in them, and Fossil doesn't open the
 * repository itself, which it would write to when it closes it (db_close in db.c).
 * @param file the repository
 * @param known what the cache has: the file of its list, and the check-ins in it
 * @param into.folder where the copies go
 * @param into.files an empty Fossil repository, which gets new files' contents
 */
export function pick(
  file: string,
  known: { file: string; checkins: ReadonlyMap<string, { origin: string }> },
  into: { folder: string; files: string },
): Picked {
  // Says it best when it is none.
  openRepository(file, { readOnly: true }).close();
  const database = new DatabaseSync(join(into.folder, 'picked.db'), {
    timeout: 15_000,
    enableForeignKeyConstraints: false,
    defensive: true,
  });
  try {
    // What is only needed until the export ends need not outlive a crash.
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
    attach(database, 'live', file, 'ro');
    attach(database, 'known', known.file, 'ro');
    attach(database, 'files', into.files, 'rw');
    database.exec('PRAGMA files.journal_mode = OFF; PRAGMA files.synchronous = OFF');
    database.exec('BEGIN');
    const history = readHistory(database);
    const facts = readRefFacts(database, history);
    const { fresh, stale } = compareWith(known.checkins, history);
    if (fresh.length > 0) copyCheckins(database, fresh);
    const files = fresh.length > 0 ? copyFiles(database) : new Set<string>();
    const people = fresh.length > 0 ? readPeople(database) : new Map<string, string>();
    database.exec('COMMIT; DETACH live; DETACH files');
    return {
      database,
      history,
      facts,
      fresh: fresh.length,
      stale,
      files,
      people,
      [Symbol.dispose]: () => {
        if (database.isOpen) database.close();
      },
    };
  } catch (error) {
    database.close();
    throw asOperatorError(file, error);
  }
}

/** Attaches a file under a name. @throws Error of SQLite's when it can't be opened */
export function attach(database: DatabaseSync, name: string, file: string, mode: 'ro' | 'rw'): void {
  const url = pathToFileURL(file);
  url.searchParams.set('mode', mode);
  database.prepare(`ATTACH ? AS ${name}`).run(url.href);
}

/** Whatever comes after something stale is stale, too. */
function compareWith(
  known: ReadonlyMap<string, { origin: string }>,
  { checkins }: History,
): { fresh: Checkin[]; stale: string[] } {
  const fresh = new Map<string, Checkin>();
  for (const one of checkins.values())
    if (
      !isSameOrigin(known.get(one.hash)?.origin ?? '', one.origin) ||
      one.parents.some((parent) => fresh.has(parent))
    )
      fresh.set(one.hash, one);
  const stale = [...known.keys()].filter((hash) => fresh.has(hash) || !checkins.has(hash));
  return { fresh: [...fresh.values()], stale };
}

function copyCheckins(database: DatabaseSync, fresh: readonly Checkin[]): void {
  database.exec(`
    CREATE TABLE main.checkin(seq INTEGER PRIMARY KEY, rid INTEGER NOT NULL UNIQUE, hash TEXT NOT NULL, whole INTEGER NOT NULL,
      at INTEGER, login TEXT, text BLOB);
    -- A name's bytes; no hash where the file is gone.
    CREATE TABLE main.change(seq INTEGER NOT NULL, name BLOB NOT NULL, hash TEXT, mode TEXT)`);
  const checkin = database.prepare('INSERT INTO main.checkin(seq, rid, hash, whole) VALUES (?, ?, ?, ?)');
  const change = database.prepare('INSERT INTO main.change VALUES (?, ?, ?, ?)');
  for (const [seq, one] of fresh.entries()) {
    checkin.run(seq, one.rid, one.hash, one.tree ? 1 : 0);
    for (const { name, hash, mode } of one.tree?.values() ?? [])
      change.run(seq, Buffer.from(name, 'latin1'), hash, mode);
  }
  // As it was made: an amended text or date would give another hash to a commit that is out in the world.
  database.exec(`
    UPDATE main.checkin SET (at, login, text) = (
      SELECT max(0, CAST(strftime('%s', coalesce(omtime, mtime)) AS INTEGER)), coalesce(user, ''), CAST(coalesce(comment, '') AS BLOB)
      FROM live.event WHERE objid = main.checkin.rid AND type = 'ci');
    INSERT INTO main.change
      SELECT c.seq, CAST(n.name AS BLOB),
        CASE WHEN m.fid > 0 AND NOT ${unavailable.replaceAll(/\b(size|rid IN|uuid IN)/g, 'b.$1')} THEN b.uuid END,
        CASE m.mperm WHEN 1 THEN '100755' WHEN 2 THEN '120000' ELSE '100644' END
      FROM main.checkin c CROSS JOIN live.mlink m ON m.mid = c.rid JOIN live.filename n ON n.fnid = m.fnid
        LEFT JOIN live.blob b ON b.rid = m.fid
      WHERE NOT c.whole AND NOT m.isaux`);
}

function readPeople(database: DatabaseSync): Map<string, string> {
  const rows = database
    .prepare(
      `SELECT login, (SELECT info FROM live.user u WHERE u.login = c.login) AS info
       FROM (SELECT DISTINCT login FROM main.checkin) c`,
    )
    .all();
  return new Map(rows.map(({ login, info }) => [String(login), typeof info === 'string' ? info : '']));
}

/** Copies new files' contents, and what these are stored as the difference from, into a repository that has nothing else. */
function copyFiles(database: DatabaseSync): Set<string> {
  database.exec(`
    CREATE TEMP TABLE wanted AS
      SELECT b.rid, b.uuid FROM (SELECT DISTINCT hash FROM main.change WHERE hash NOT NULL) c JOIN live.blob b ON b.uuid = c.hash
      WHERE NOT EXISTS (SELECT 1 FROM known.file WHERE fossil = c.hash);
    CREATE TEMP TABLE needed AS
      WITH RECURSIVE chain(rid) AS (SELECT rid FROM wanted UNION SELECT d.srcid FROM chain JOIN live.delta d USING (rid))
      SELECT rid FROM chain;
    INSERT INTO files.blob(rid, rcvid, size, uuid, content)
      SELECT rid, 1, size, uuid, content FROM needed CROSS JOIN live.blob USING (rid);
    INSERT INTO files.delta(rid, srcid) SELECT rid, srcid FROM needed CROSS JOIN live.delta USING (rid);
    INSERT INTO files.mlink(mid, fid) SELECT 0, rid FROM wanted;
  `);
  return new Set(
    database
      .prepare('SELECT uuid FROM wanted')
      .all()
      .map((row) => String(row['uuid'])),
  );
}

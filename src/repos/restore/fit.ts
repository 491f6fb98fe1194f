import type { Shunned } from '../../plan/repository.ts';
import { notFossils, type Row } from '../contents/snapshot.ts';
import { openRepository, UnreadableError } from '../open.ts';
import { readSetting, writeSetting } from '../settings.ts';

/** The row of Fossil's `config` table that says by which restore a file came into its place. */
const restoreSetting = 'fossilrepo-restore';

/**
 * Makes a state that was fetched ready to take its repository's place: it says by which restore it came, and what shall not come back is
 * shunned (table `shun`, shun.c). Nobody else has the file open.
 */
export function fitIn(
  file: string,
  { restore, shun }: { restore: string | undefined; shun: readonly Shunned[] },
): void {
  const database = openRepository(file, { readOnly: false });
  try {
    database.exec('BEGIN IMMEDIATE');
    if (restore !== undefined) writeSetting(database, restoreSetting, restore);
    const insert = database.prepare(
      'INSERT OR IGNORE INTO shun(uuid, mtime, scom) VALUES (?, unixepoch(), ?)',
    );
    for (const { hash, why } of shun) insert.run(hash, why);
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}

/** By which restore a repository's file came into its place, or undefined. Whatever a restore puts there can be read. */
export function cameBy(file: string): string | undefined {
  try {
    using database = openRepository(file, { readOnly: true });
    return readSetting(database, restoreSetting);
  } catch (error) {
    const known = notFossils(file, error);
    if (known instanceof UnreadableError) return undefined;
    throw known;
  }
}

/** Why something is shunned that a restore lost: whatever brings it back takes this back, too. */
const lostByRestore = 'lost by a restore';

/** What is shunned now and has to stay so in another state, which would bring it back; but not what a restore lost and that state has. */
export function shunnedIn(present: string, other: string): Shunned[] {
  const shunned = rowsOf(present, "SELECT uuid, coalesce(scom, '') AS why FROM shun").map((row) => ({
    hash: String(row['uuid']),
    why: String(row['why']),
  }));
  const back = new Set(shunned.some(({ why }) => why === lostByRestore) ? documents(other) : []);
  return shunned.filter(({ hash, why }) => why !== lostByRestore || !back.has(hash));
}

/**
 * What a client that still has it would bring back: the check-ins, tickets, pages and posts that one file has and the other has not.
 * Files' contents are left out: the same content may rightly come again in a new check-in.
 */
export function lostDocuments(present: string, other: string): Shunned[] {
  const kept = new Set(documents(other));
  return documents(present)
    .filter((hash) => !kept.has(hash))
    .map((hash) => ({ hash, why: lostByRestore }));
}

const documents = (file: string): string[] =>
  rowsOf(file, 'SELECT uuid FROM event JOIN blob ON blob.rid = event.objid').map((row) =>
    String(row['uuid']),
  );

/** @throws OperatorError that is about this file, when it can't be read */
function rowsOf(file: string, sql: string): Row[] {
  const database = openRepository(file, { readOnly: true });
  try {
    return database.prepare(sql).all();
  } catch (error) {
    throw notFossils(file, error);
  } finally {
    database.close();
  }
}

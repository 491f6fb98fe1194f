import type { Shunned } from '../../plan/repository.ts';
import { openRepository } from '../open.ts';
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

/** By which restore a repository's file came into its place, or undefined. */
export function cameBy(file: string): string | undefined {
  const database = openRepository(file, { readOnly: true });
  try {
    return readSetting(database, restoreSetting);
  } finally {
    database.close();
  }
}

/** Why something is shunned that a restore lost: taking the restore back takes this back, too. */
const lostByRestore = 'lost by a restore';

/** What is shunned now and has to stay so: an older state would bring it back. */
export function shunnedIn(file: string): Shunned[] {
  const database = openRepository(file, { readOnly: true });
  try {
    return database
      .prepare("SELECT uuid, coalesce(scom, '') AS why FROM shun WHERE scom IS NOT ?")
      .all(lostByRestore)
      .map((row) => ({ hash: String(row['uuid']), why: String(row['why']) }));
  } finally {
    database.close();
  }
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

function documents(file: string): string[] {
  const database = openRepository(file, { readOnly: true });
  try {
    return database
      .prepare('SELECT uuid FROM event JOIN blob ON blob.rid = event.objid')
      .all()
      .map((row) => String(row['uuid']));
  } finally {
    database.close();
  }
}

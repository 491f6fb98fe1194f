import { openRepository } from './open.ts';

/**
 * Puts back the tables that Litestream keeps in a database and that `fossil rebuild` drops (rebuild.c): without them Litestream fails
 * at the next checkpoint, and says so only then. The definitions are Litestream's own (its db.go).
 */
export function restoreLitestreamTables(file: string): void {
  const database = openRepository(file, { readOnly: false });
  try {
    database.exec(`
      CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
      CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER);
    `);
  } finally {
    database.close();
  }
}

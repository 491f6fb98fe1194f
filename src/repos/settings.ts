import type { DatabaseSync } from 'node:sqlite';

/** A row of Fossil's `config` table as text; undefined when there is none. */
export function readSetting(database: DatabaseSync, name: string): string | undefined {
  const value = database.prepare('SELECT value FROM config WHERE name = ?').get(name)?.['value'];
  return typeof value === 'string' ? value : undefined;
}

/** Writes a row of Fossil's `config` table, with the time that Fossil's own sync of settings goes by. */
export function writeSetting(database: DatabaseSync, name: string, value: string): void {
  database
    .prepare(
      `INSERT INTO config(name, value, mtime) VALUES (?, ?, unixepoch())
       ON CONFLICT(name) DO UPDATE SET value = excluded.value, mtime = excluded.mtime`,
    )
    .run(name, value);
}

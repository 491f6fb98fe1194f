import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';

/**
 * What Fossil itself puts into a repository besides tables and indexes (rebuild.c, search.c, chat.c), white space apart:
 * two views and two full-text indexes. It has no triggers but temporary ones.
 */
const ownSchema: readonly RegExp[] = [
  /^CREATE VIEW artifact\(rid,rcvid,size,atype,srcid,hash,content\) AS SELECT blob\.rid,rcvid,size,1,srcid,uuid,content FROM blob LEFT JOIN delta ON \(blob\.rid=delta\.rid\)$/,
  /^CREATE VIEW ftscontent AS SELECT rowid, type, rid, name, idxed, label, url, mtime, title\(type,rid,name\) AS 'title', body\(type,rid,name\) AS 'body' FROM ftsdocs$/,
  /^CREATE VIRTUAL TABLE ftsidx USING fts[45]\(content="ftscontent", title, body(, ?tokenize ?= ?["'a-z0-9 _]+)?\)$/,
  /^CREATE VIRTUAL TABLE chatfts1 USING fts5\( ?xmsg, content=chat, content_rowid=msgid(, ?tokenize ?= ?["'a-z0-9 _]+)?\)$/,
];

/**
 * Drops every trigger, and every view and virtual table that isn't Fossil's: each can run whenever Fossil reads or writes
 * something else. @returns what was dropped, as `trigger NAME`
 */
export function removeForeignSchema(database: DatabaseSync): string[] {
  const rows = database
    .prepare(
      `SELECT type, name, sql FROM sqlite_schema
       WHERE type IN ('trigger', 'view') OR (type = 'table' AND sql LIKE 'CREATE VIRTUAL%')
       ORDER BY type = 'trigger' DESC, type = 'view' DESC`,
    )
    .all();
  return rows.flatMap((row) => {
    const type = String(row['type']);
    const name = String(row['name']);
    const sql = String(row['sql']).replace(/\s+/g, ' ').trim();
    if (ownSchema.some((own) => own.test(sql))) return [];
    try {
      database.exec(`DROP ${type} "${name.replaceAll('"', '""')}"`);
    } catch (error) {
      throw new OperatorError(`It holds the ${type} ${JSON.stringify(name)}, which cannot be removed.`, {
        exit: 'check',
        cause: error,
      });
    }
    return [`${type === 'table' ? 'virtual table' : type} ${name}`];
  });
}

/** Fossil's own definitions (schema.c), of the two tables that decide who may do what. */
const coreTables = {
  user: {
    columns: ['uid', 'login', 'pw', 'cap', 'cookie', 'ipaddr', 'cexpire', 'info', 'mtime', 'photo', 'jx'],
    definition: `CREATE TABLE user(
  uid INTEGER PRIMARY KEY,
  login TEXT UNIQUE,
  pw TEXT,
  cap TEXT,
  cookie TEXT,
  ipaddr TEXT,
  cexpire DATETIME,
  info TEXT,
  mtime DATE,
  photo BLOB,
  jx TEXT DEFAULT '{}'
)`,
    rows: "typeof(login) = 'text'",
  },
  config: {
    columns: ['name', 'value', 'mtime'],
    definition: `CREATE TABLE config(
  name TEXT PRIMARY KEY NOT NULL,
  value CLOB,
  mtime DATE,
  CHECK( typeof(name)='text' AND length(name)>=1 )
)`,
    rows: "typeof(name) = 'text' AND length(name) >= 1",
  },
} as const;

/**
 * Writes the users and the settings into new tables. Theirs might have generated columns, defaults that give rights, no
 * unique key, or an index that does not agree with its table.
 */
export function makeCoreTablesAnew(database: DatabaseSync): void {
  for (const [name, { columns, definition, rows }] of Object.entries(coreTables)) {
    const present = new Set(
      database
        .prepare(`PRAGMA table_xinfo(${name})`)
        .all()
        .map((row) => row['name']),
    );
    const shared = columns.filter((column) => present.has(column)).join(', ');
    // NOT INDEXED: the index is part of what is not trusted.
    database.exec(`
      CREATE TEMP TABLE copied AS SELECT ${shared} FROM main.${name} NOT INDEXED WHERE ${rows};
      DROP TABLE main.${name};
    `);
    database.exec(definition);
    database.exec(
      `INSERT OR IGNORE INTO main.${name}(${shared}) SELECT ${shared} FROM temp.copied; DROP TABLE temp.copied`,
    );
  }
}

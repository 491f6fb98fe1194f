import type { DatabaseSync } from 'node:sqlite';
import { asOperatorError, openRepository } from '../../repos/open.ts';

/** A text of somebody's in Fossil. */
export type Said = {
  /** The artifact that it came with; where tables don't say, what it is made of. */
  id: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Login, or what a guest called themselves; may be empty. */
  by: string;
  /** `text/x-fossil-wiki`, `text/x-markdown`, `text/plain`, `text/html`; empty: Fossil's wiki. */
  mimetype: string;
  text: string;
};

/** A ticket as it is now. Fields are empty where it has none. */
export type Ticket = {
  /** 40 hexadecimal digits. */
  hash: string;
  title: string;
  status: string;
  /** Of those that `shownFields` names. */
  fields: Readonly<Record<string, string>>;
  /** The text of the `comment` column, which older repositories write everything into. */
  description: string;
  /** When it was made, by whom. */
  at: number;
  by: string;
  /** In their order. */
  comments: readonly Said[];
};

/** Fields that everybody may see. Whatever else a repository's tickets have stays there: `private_contact` is an address. */
export const shownFields = [
  ...(['type', 'priority', 'severity', 'subsystem', 'resolution', 'foundin'] as const),
];

/** Fossil counts days since noon of 4714-11-24 BC. */
const milliseconds = (column: string): string => `CAST(round((${column} - 2440587.5) * 86400000) AS INTEGER)`;

/**
 * Reads all tickets, the oldest first. One of which a change waits for a moderator is left out until that is decided. What is
 * shunned, a change or all of a ticket, is left out, though Fossil keeps it until a rebuild.
 * @param file the repository, which is only read
 */
export function readTickets(file: string): Ticket[] {
  const database = openRepository(file, { readOnly: true });
  try {
    database.exec('BEGIN');
    return allOf(database);
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

function allOf(database: DatabaseSync): Ticket[] {
  const columns = columnsOf(database, 'ticket');
  if (!columns.has('tkt_uuid')) return [];
  const held = heldBack(database);
  const comments = commentsOf(database);
  const or = (column: string, otherwise: string) => (columns.has(column) ? `t.${column}` : otherwise);
  const rows = database
    .prepare(
      `SELECT t.tkt_id AS id, t.tkt_uuid AS hash, ${milliseconds(or('tkt_ctime', 't.tkt_mtime'))} AS at,
         ${['title', 'status', 'comment', ...shownFields].map((name) => `${or(name, 'NULL')} AS "${name}"`).join(', ')}
       FROM ticket t WHERE t.tkt_uuid GLOB '[0-9a-f]*' ORDER BY 3, 2`,
    )
    .all();
  return rows.flatMap((row): Ticket[] => {
    const hash = text(row['hash']);
    if (held.has(hash)) return [];
    const said = comments.get(Number(row['id'])) ?? [];
    return [
      {
        ...{ hash, title: text(row['title']), status: text(row['status']) },
        fields: Object.fromEntries(shownFields.map((name) => [name, text(row[name])])),
        ...{ description: text(row['comment']), at: Number(row['at'] ?? 0) },
        by: said[0]?.by ?? '',
        comments: said.filter((one) => one.text.trim() !== ''),
      },
    ];
  });
}

/** Each change with its text, if it has one, by the ticket's number. Very old repositories have no such table. */
function commentsOf(database: DatabaseSync): Map<number, Said[]> {
  const columns = columnsOf(database, 'ticketchng');
  const all = new Map<number, Said[]>();
  if (!columns.has('tkt_id')) return all;
  const or = (column: string, otherwise = "''") => (columns.has(column) ? `c.${column}` : otherwise);
  const rows = database
    .prepare(
      `SELECT c.tkt_id AS ticket, ${milliseconds(or('tkt_mtime', '2440587.5'))} AS at, ${or('tkt_user', or('login'))} AS login,
         ${or('username')} AS username, ${or('mimetype')} AS mimetype, ${or('icomment')} AS words,
         ${columns.has('tkt_rid') ? '(SELECT uuid FROM blob b WHERE b.rid = c.tkt_rid)' : 'NULL'} AS hash
       FROM ticketchng c ${columns.has('tkt_rid') ? `WHERE coalesce(c.tkt_rid, 0) NOT IN (${shunned})` : ''} ORDER BY 1, 2, 7, c.rowid`,
    )
    .all();
  for (const row of rows) {
    const ticket = Number(row['ticket']);
    // Who sent the change; what a form says of it anybody can write.
    const login = text(row['login']);
    const guest = login === '' || login === 'anonymous' || login === 'nobody';
    const said = all.get(ticket) ?? [];
    all.set(ticket, said);
    said.push({
      id: text(row['hash']) || `${Number(row['at'])}-${said.length}`,
      at: Number(row['at'] ?? 0),
      by: (guest && text(row['username']).trim()) || login,
      mimetype: text(row['mimetype']),
      text: text(row['words']),
    });
  }
  return all;
}

const shunned = 'SELECT rid FROM blob WHERE uuid IN (SELECT uuid FROM shun)';

/** Tickets with a change that is private: so Fossil keeps what waits for a moderator (moderate.c). And those all of whose changes are shunned. */
const heldBack = (database: DatabaseSync): Set<string> =>
  new Set(
    database
      .prepare(
        `SELECT substr(t.tagname, 5) AS hash FROM tag t JOIN tagxref x USING (tagid) WHERE t.tagname GLOB 'tkt-*'
         GROUP BY t.tagid HAVING max(x.rid IN (SELECT rid FROM private)) OR min(x.rid IN (${shunned}))`,
      )
      .all()
      .map((row) => text(row['hash'])),
  );

const columnsOf = (database: DatabaseSync, table: 'ticket' | 'ticketchng'): Set<string> =>
  new Set(
    database
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map((row) => text(row['name'])),
  );

/** A column holds what people put there: a number, or nothing. */
const text = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'bigint'
      ? `${value}`
      : '';

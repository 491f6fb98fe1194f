import { type Item, asText, itemOf, printable } from './item.ts';
import { openSnapshot, type Snapshot } from './snapshot.ts';

/** What a repository received after a certain moment. */
export type Newer = {
  checkins: number;
  /** Everything else that has a name: ticket changes, wiki edits, forum posts, technotes, tags, unversioned files. */
  other: number;
  /** All new artifacts: the files in check-ins, too. */
  artifacts: number;
  /** The check-ins and the others, the newest receipt first. */
  items: (Item & { kind: ReceivedKind })[];
  /** Each push, and each edit in the web pages: who was signed in, and when the server received it. The newest first. */
  receipts: Receipt[];
};

export type Receipt = { rcvid: number; who?: string; at?: string; artifacts: number; unversioned: number };

/** Fossil's types of events (schema.c), and what has none. */
const eventKinds = {
  ci: 'check-in',
  t: 'ticket change',
  w: 'wiki edit',
  f: 'forum post',
  e: 'technote',
  g: 'tag',
  uv: 'unversioned file',
} as const;
export type ReceivedKind = (typeof eventKinds)[keyof typeof eventKinds];

/**
 * The number of the newest receipt, 0 where there is none: each push and each edit gets the next one (content.c,
 * `content_rcvid_init`).
 * @throws OperatorError as `openSnapshot`
 */
export function lastReceipt(file: string): number {
  using snapshot = openSnapshot(file);
  const [row] = snapshot.rows('SELECT coalesce(max(rcvid), 0) AS rcvid FROM rcvfrom');
  return Number(row?.['rcvid']);
}

/**
 * What was received after the receipt `rcvid`, as `lastReceipt` told it. Changes of settings and users are no receipts.
 * @throws OperatorError as `openSnapshot`
 */
export function newerThan(file: string, rcvid: number): Newer {
  using snapshot = openSnapshot(file);
  const hasFiles = snapshot.has('unversioned');
  const events = snapshot.rows(
    `SELECT * FROM (
       SELECT b.rcvid AS rcvid, e.type AS type, b.uuid AS id, substr(ltrim(coalesce(ecomment, comment)), 1, 500) AS title,
         substr(coalesce(euser, user), 1, 500) AS who, e.mtime AS at
       FROM blob b JOIN event e ON e.objid = b.rid WHERE b.rcvid > ?1 AND b.size >= 0
       ${
         hasFiles
           ? `UNION ALL SELECT rcvid, 'uv', substr(name, 1, 500), iif(hash IS NULL, 'deleted', NULL), NULL,
         mtime / 86400.0 + 2440587.5 FROM unversioned WHERE rcvid > ?1`
           : ''
       }
     ) ORDER BY rcvid DESC, at DESC, id`,
    rcvid,
  );
  const items = Array.from(events, (row) => ({ kind: kindOf(asText(row['type'])), ...itemOf(row) }));
  const checkins = items.filter(({ kind }) => kind === 'check-in').length;
  const receipts = receiptsAfter(snapshot, rcvid);
  const artifacts = receipts.reduce((sum, receipt) => sum + receipt.artifacts, 0);
  return { checkins, other: items.length - checkins, artifacts, items, receipts };
}

/** What came with receipts after the one of number `rcvid`: artifacts by hash, unversioned files by name. @throws as `newerThan` */
export function receivedAfter(
  file: string,
  rcvid: number,
): { artifacts: Set<string>; unversioned: Set<string> } {
  using snapshot = openSnapshot(file);
  const column = (sql: string) =>
    new Set(Array.from(snapshot.rows(sql, rcvid), (row) => printable(asText(row['value']), 200)));
  return {
    artifacts: column('SELECT uuid AS value FROM blob WHERE rcvid > ?1'),
    unversioned: snapshot.has('unversioned')
      ? column('SELECT name AS value FROM unversioned WHERE rcvid > ?1')
      : new Set(),
  };
}

/** Receipts without anything in them (Fossil makes one for each push that is let in) are not told. */
function receiptsAfter(snapshot: Snapshot, rcvid: number): Receipt[] {
  const files = snapshot.has('unversioned')
    ? 'UNION ALL SELECT rcvid, 0, 1 FROM unversioned WHERE rcvid > ?1'
    : '';
  const rows = snapshot.rows(
    `SELECT c.rcvid AS rcvid, sum(c.artifact) AS artifacts, sum(c.file) AS files, u.login AS who, r.mtime AS at
     FROM (SELECT rcvid, 1 AS artifact, 0 AS file FROM blob WHERE rcvid > ?1 AND size >= 0 ${files}) c
       LEFT JOIN rcvfrom r ON r.rcvid = c.rcvid LEFT JOIN user u ON u.uid = r.uid
     GROUP BY c.rcvid ORDER BY c.rcvid DESC`,
    rcvid,
  );
  return Array.from(rows, (row) => {
    const { at } = itemOf(row);
    const who = printable(asText(row['who']), 60);
    return {
      rcvid: Number(row['rcvid']),
      ...(who === '' ? {} : { who }),
      ...(at === undefined ? {} : { at }),
      artifacts: Number(row['artifacts']),
      unversioned: Number(row['files']),
    };
  });
}

const kindOf = (type: string): ReceivedKind =>
  Object.entries(eventKinds).find(([key]) => key === type)?.[1] ?? 'tag';

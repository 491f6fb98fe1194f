import type { DatabaseSync } from 'node:sqlite';
import { asOperatorError, openRepository } from '../../repos/open.ts';
import { artifactReader } from '../export/artifact.ts';
import { unavailable } from '../export/history.ts';

/** One time that a wiki page, or a file attached to one, was written or deleted. */
export type WikiChange = {
  kind: 'page' | 'file';
  /** The page's name. */
  page: string;
  /** Of the file; empty for a page. */
  file: string;
  /** The artifact that says so. */
  hash: string;
  /** Its row, and that of the file's content (0: it was deleted). */
  rid: number;
  content: number;
  /** Milliseconds since 1970. */
  at: number;
  by: string;
  /** Of a page it is empty; of a file what was said about it. */
  comment: string;
};

/** What is written in a page's artifact. */
export type WikiPage = { mimetype: string; /** Empty: the page is deleted. */ text: string };

/** A repository's wiki as it is at one moment, while `readWiki` lasts. */
export type Wiki = {
  /** The oldest first; the order of those of one moment is always the same. */
  changes: readonly WikiChange[];
  page: (rid: number) => WikiPage;
  content: (rid: number) => Buffer;
  /** What Fossil knows of a login (`user.info`). */
  infoOf: (login: string) => string;
};

/**
 * Reads every state that wiki pages and their attachments ever had. What is private, as what waits for a moderator, is left out, and
 * what is shunned, though Fossil keeps it until a rebuild.
 * @param file the repository, which is only read
 */
export async function readWiki<T>(file: string, work: (wiki: Wiki) => Promise<T>): Promise<T> {
  const database = openRepository(file, { readOnly: true });
  try {
    database.exec('BEGIN');
    const content = artifactReader(database);
    const infos = database.prepare('SELECT info FROM user WHERE login = ?');
    return await work({
      changes: changesOf(database),
      page: (rid) => readPage(content(rid)),
      content,
      infoOf: (login) => {
        const info = infos.get(login)?.['info'];
        return typeof info === 'string' ? info : '';
      },
    });
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

const isThere = (blob: string): string => `${blob}.rid NOT IN (SELECT rid FROM blob WHERE ${unavailable})`;

/** The content of a file may never have been received, be private or shunned. */
const attachments = `
  SELECT 'file' AS kind, a.target AS page, a.filename AS file, b.uuid AS hash, b.rid, coalesce(a.src, '') = '' AS gone,
    coalesce(c.rid, 0) AS content, a.mtime, coalesce(a.user, '') AS by, coalesce(a.comment, '') AS comment
  FROM attachment a JOIN blob b ON b.rid = a.attachid
    LEFT JOIN blob c ON c.uuid = a.src AND ${isThere('c')}
  WHERE ${isThere('b')}
    AND EXISTS (SELECT 1 FROM tag WHERE tagname = 'wiki-' || a.target)
    AND (coalesce(a.src, '') = '' OR c.rid NOT NULL)`;

function changesOf(database: DatabaseSync): WikiChange[] {
  const has = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'attachment'").get();
  const rows = database
    .prepare(
      `SELECT *, CAST(round((mtime - 2440587.5) * 86400000) AS INTEGER) AS at FROM (
         SELECT 'page' AS kind, substr(t.tagname, 6) AS page, '' AS file, b.uuid AS hash, b.rid, 0 AS gone, 0 AS content,
           x.mtime, coalesce(e.euser, e.user, '') AS by, '' AS comment
         FROM tag t JOIN tagxref x USING (tagid) JOIN blob b ON b.rid = x.rid LEFT JOIN event e ON e.objid = b.rid
         WHERE t.tagname GLOB 'wiki-*' AND x.tagtype > 0 AND ${isThere('b')}
         ${Number(has?.['n']) > 0 ? `UNION ALL ${attachments}` : ''}
       ) ORDER BY mtime, hash`,
    )
    .all();
  return rows.map((row): WikiChange => {
    const word = (name: string): string => (typeof row[name] === 'string' ? row[name] : '');
    return {
      kind: row['kind'] === 'file' ? 'file' : 'page',
      ...{ page: word('page'), file: word('file'), hash: word('hash'), rid: Number(row['rid']) },
      content: Number(row['content']),
      at: Math.max(0, Number(row['at'])),
      ...{ by: word('by'), comment: word('comment') },
    };
  });
}

/** A wiki page's artifact (doc "fileformat", section 2.4): cards, a line each, the last but one followed by the text itself. */
function readPage(artifact: Buffer): WikiPage {
  let mimetype = '';
  for (let at = 0; at < artifact.length;) {
    const end = artifact.indexOf(0x0a, at);
    const line = artifact.subarray(at, end < 0 ? undefined : end).toString('utf8');
    if (line.startsWith('N ')) mimetype = line.slice(2);
    if (line.startsWith('W ')) {
      const from = end + 1;
      return { mimetype, text: artifact.subarray(from, from + Number(line.slice(2))).toString('utf8') };
    }
    if (end < 0) break;
    at = end + 1;
  }
  return { mimetype, text: '' };
}

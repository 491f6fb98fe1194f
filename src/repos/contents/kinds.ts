import type { Snapshot } from './snapshot.ts';

/** One kind of thing that a repository holds. */
export type KindOfContent = {
  /** Its name for people, for one and for more. */
  names: readonly [one: string, many: string];
  /** What `state` counts, for one and for more; left out where it is a word itself. */
  unit?: readonly [one: string, many: string];
  /** Where one of these tables is missing, there is none of the kind. */
  tables: readonly string[];
  /**
   * All that are there, one row each: `id` (bytes, unique), `mark` (differs when the thing does), and for people `title`,
   * `who`, `at` (Julian day) and `state`.
   */
  sql: (has: Snapshot['has']) => string;
};

/** Longer texts are not even taken out of the database. Characters. */
const cut = 500;
const text = (expression: string) => `substr(${expression}, 1, ${cut})`;
const nothing = 'NULL';

/** A listing's columns; what is left out is NULL. */
function columns(values: {
  id: string;
  mark?: string;
  title?: string;
  who?: string;
  at?: string;
  state?: string;
}): string {
  const { id, mark = nothing, title, who, at = nothing, state = nothing } = values;
  return `SELECT CAST(${id} AS BLOB) AS id, ${mark} AS mark, ${title === undefined ? nothing : text(title)} AS title,
    ${who === undefined ? nothing : text(who)} AS who, ${at} AS at, ${state} AS state`;
}

/** All artifacts that make up one thing, so that the same number of other ones is a difference, too. */
const versions = "group_concat(b.uuid, ' ' ORDER BY b.uuid)";

/** A thing that consists of artifacts with a common tag, as manifest.c tags them: `wiki-NAME`, `tkt-ID`, `event-ID`. */
const tagged = (prefix: string, join = '') => `
  FROM tag t JOIN tagxref x ON x.tagid = t.tagid AND x.srcid = x.rid AND x.tagtype > 0 JOIN blob b ON b.rid = x.rid ${join}
  WHERE t.tagname GLOB '${prefix}*'`;

/** What the timeline shows of each technote: its newest version alone has an event. */
const technoteEvents = `LEFT JOIN (
  SELECT tagid, max(mtime) AS at, coalesce(ecomment, comment) AS title, coalesce(euser, user) AS who
  FROM event WHERE type = 'e' GROUP BY tagid) e ON e.tagid = t.tagid`;

/** What a repository can hold, in the order in which it is shown. */
export const kinds = {
  checkins: {
    names: ['check-in', 'check-ins'],
    tables: ['event', 'blob'],
    sql: () =>
      `${columns({
        id: 'b.uuid',
        mark: 'digest(CAST(coalesce(ecomment, comment) AS BLOB), CAST(coalesce(euser, user) AS BLOB), round(mtime * 86400))',
        title: 'ltrim(coalesce(ecomment, comment))',
        who: 'coalesce(euser, user)',
        at: 'mtime',
      })} FROM event JOIN blob b ON b.rid = objid WHERE type = 'ci'`,
  },
  tickets: {
    names: ['ticket', 'tickets'],
    unit: ['change', 'changes'],
    tables: ['tag', 'tagxref', 'blob'],
    // The columns of `ticket` are the project's own choice.
    sql: (has) =>
      `${columns({
        id: 'substr(t.tagname, 5)',
        mark: versions,
        ...(has('ticket', 'title') && has('ticket', 'tkt_uuid')
          ? { title: '(SELECT title FROM ticket WHERE tkt_uuid = substr(t.tagname, 5))' }
          : {}),
        at: 'max(x.mtime)',
        state: 'count(*)',
      })} ${tagged('tkt-')} GROUP BY t.tagid`,
  },
  wiki: {
    names: ['wiki page', 'wiki pages'],
    unit: ['version', 'versions'],
    tables: ['tag', 'tagxref', 'blob'],
    // The tag's value is the text's length: a deleted page's newest version has none (wiki.c).
    sql: () => `${columns({
      id: 'substr(t.tagname, 6)',
      mark: versions,
      at: 'max(x.mtime)',
      state: 'count(*)',
    })} ${tagged('wiki-')} AND typeof(x.value + 0) = 'integer' GROUP BY t.tagid
      HAVING (SELECT l.value + 0 FROM tagxref l WHERE l.tagid = t.tagid AND l.srcid = l.rid
        ORDER BY l.mtime DESC, l.rid DESC LIMIT 1) > 0`,
  },
  forum: {
    names: ['forum post', 'forum posts'],
    unit: ['version', 'versions'],
    tables: ['forumpost', 'event', 'blob'],
    // A post is its first version. The comment is `Post: TITLE` or `Reply: TITLE` (manifest.c).
    sql: () => `
      WITH RECURSIVE version(first, fpid) AS (
        SELECT fpid, fpid FROM forumpost WHERE fprev IS NULL OR fprev NOT IN (SELECT fpid FROM forumpost)
        UNION ALL SELECT v.first, p.fpid FROM version v JOIN forumpost p ON p.fprev = v.fpid)
      ${columns({
        id: 'f.uuid',
        mark: versions,
        title: "substr(e.comment, instr(e.comment, ': ') + 2)",
        who: 'coalesce(e.euser, e.user)',
        at: 'e.mtime',
        state: 'count(*)',
      })} FROM version v JOIN blob b ON b.rid = v.fpid JOIN blob f ON f.rid = v.first
        LEFT JOIN event e ON e.objid = v.first GROUP BY v.first`,
  },
  technotes: {
    names: ['technote', 'technotes'],
    unit: ['version', 'versions'],
    tables: ['tag', 'tagxref', 'event', 'blob'],
    sql: () =>
      `${columns({
        id: 'substr(t.tagname, 7)',
        mark: versions,
        title: 'max(e.title)',
        who: 'max(e.who)',
        at: 'max(e.at)',
        state: 'count(*)',
      })} ${tagged('event-', technoteEvents)} GROUP BY t.tagid`,
  },
  attachments: {
    names: ['attachment', 'attachments'],
    tables: ['attachment'],
    // One that was taken off again has no source.
    sql: () =>
      `${columns({
        id: "target || '/' || filename",
        mark: "group_concat(src, ' ' ORDER BY src)",
        who: 'max(user)',
        at: 'max(mtime)',
      })} FROM attachment WHERE isLatest AND src <> '' GROUP BY target || '/' || filename`,
  },
  unversioned: {
    names: ['unversioned file', 'unversioned files'],
    unit: ['byte', 'bytes'],
    tables: ['unversioned'],
    sql: () =>
      `${columns({
        id: 'name',
        mark: 'hash',
        at: 'mtime / 86400.0 + 2440587.5',
        state: 'sz',
      })} FROM unversioned WHERE hash IS NOT NULL`,
  },
  branches: {
    names: ['branch', 'branches'],
    tables: ['tag', 'tagxref', 'event'],
    // Closed is what the newest check-in is (branch.c).
    sql: () => {
      const state = `iif(EXISTS (SELECT 1 FROM tagxref c JOIN tag USING (tagid)
        WHERE tagname = 'closed' AND c.tagtype > 0 AND c.rid = n.rid), 'closed', 'open')`;
      return `${columns({ id: 'n.name', mark: state, at: 'n.at', state })}
        FROM (SELECT x.value AS name, max(e.mtime) AS at, x.rid AS rid
          FROM tagxref x JOIN tag t USING (tagid) JOIN event e ON e.objid = x.rid
          WHERE t.tagname = 'branch' AND x.tagtype > 0 GROUP BY x.value) n`;
    },
  },
  tags: {
    names: ['tag', 'tags'],
    tables: ['tag', 'tagxref', 'blob'],
    // Those that stay at their check-in: a propagating one is a branch's.
    sql: () => `${columns({
      id: 'substr(t.tagname, 5)',
      mark: versions,
      at: 'max(x.mtime)',
      state: 'substr(min(b.uuid), 1, 10)',
    })} FROM tag t JOIN tagxref x USING (tagid) JOIN blob b ON b.rid = x.rid
      WHERE t.tagname GLOB 'sym-*' AND x.tagtype = 1 GROUP BY t.tagid`,
  },
  settings: {
    names: ['setting', 'settings'],
    tables: ['config'],
    // A value may be a secret: it never leaves this statement. Of 16 MB and more the length and the beginning count.
    sql: () =>
      `${columns({
        id: 'name',
        mark: 'digest(typeof(value), length(CAST(value AS BLOB)), substr(CAST(value AS BLOB), 1, 16000000))',
      })} FROM config WHERE NOT is_transient(name)`,
  },
  users: {
    names: ['user', 'users'],
    tables: ['user'],
    sql: () =>
      `${columns({
        id: 'login',
        mark: "digest(CAST(coalesce(cap, '') AS BLOB))",
        state: "substr(coalesce(cap, ''), 1, 60)",
      })} FROM user`,
  },
  reports: {
    names: ['ticket report', 'ticket reports'],
    tables: ['reportfmt'],
    sql: () =>
      `${columns({ id: 'title', mark: "digest(coalesce(cols, ''), coalesce(sqlcode, ''))" })} FROM reportfmt`,
  },
  chat: {
    names: ['chat message', 'chat messages'],
    tables: ['chat'],
    sql: () => `${columns({ id: 'msgid', who: 'xfrom', at: 'mtime' })} FROM chat WHERE mdel IS NULL`,
  },
  shunned: {
    names: ['shunned artifact', 'shunned artifacts'],
    tables: ['shun'],
    sql: () => `${columns({ id: 'uuid' })} FROM shun`,
  },
} as const satisfies Record<string, KindOfContent>;

export type Kind = keyof typeof kinds;

/** In the order in which they are shown. */
export const allKinds = Object.keys(kinds) as Kind[];

/** The statement that lists all of a kind, unordered, or undefined where the file has none. */
export function listing(snapshot: Pick<Snapshot, 'has'>, kind: Kind): string | undefined {
  const { tables, sql }: KindOfContent = kinds[kind];
  if (!tables.every((table) => snapshot.has(table))) return undefined;
  return `SELECT * FROM (${sql(snapshot.has)}) WHERE id IS NOT NULL`;
}

/** All artifacts whose content is there, the private ones included. (A phantom's is not: its size is below 0.) */
export const artifactListing =
  'SELECT CAST(uuid AS BLOB) AS id, rid AS mark FROM blob WHERE size >= 0 AND uuid IS NOT NULL';

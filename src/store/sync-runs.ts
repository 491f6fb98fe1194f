import { z } from 'zod';
import { mirrorParts } from './mirror-parts.ts';
import { integer, integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, type Store, transaction } from './store.ts';

/** A ref that a run moved; null: it was not there before, or is not any more. */
const movedRef = z.object({ ref: z.string(), from: z.string().nullable(), to: z.string().nullable() });
export type MovedRef = z.output<typeof movedRef>;

/** What a run may be about. */
const runParts = ['code', ...mirrorParts] as const;

/** What was done about a mirror's tickets. */
export type IssueCounts = {
  /** Issues that were made. */
  issuesMade: number;
  /** Issues of which something was changed. */
  issuesChanged: number;
  commentsMade: number;
};

/** One time that something was brought to a mirror, or could not be. Instants are milliseconds since 1970. */
export type SyncRun = IssueCounts & {
  /** The mirror's id. */
  mirror: string;
  part: (typeof runParts)[number];
  at: number;
  /** What made it begin: a push, a retry, the daily comparison, somebody who asked; see `plan/sync.ts`. */
  why: string;
  /** Null when all went well. */
  error: string | null;
  /** The first hundred of them; tickets have none. */
  refs: MovedRef[];
  /** How many refs were pushed. */
  pushed: number;
  /** How many commits were new there. */
  commits: number;
  /** How many bytes went over the line by git; null when it did not say. */
  bytes: number | null;
  tookMs: number;
};

/** One as it is read again: with the repository's name, and the mirror's own in place of its id. */
export type LoggedRun = SyncRun & { repository: string };

const read = (row: Row): LoggedRun => ({
  repository: text(row, 'repository'),
  mirror: text(row, 'name'),
  part: oneOf(row, 'part', runParts),
  at: integer(row, 'at'),
  why: text(row, 'why'),
  error: textOrNull(row, 'error'),
  refs: z.array(movedRef).parse(JSON.parse(text(row, 'refs'))),
  pushed: integer(row, 'pushed'),
  commits: integer(row, 'commits'),
  bytes: integerOrNull(row, 'bytes'),
  issuesMade: integer(row, 'issues_made'),
  issuesChanged: integer(row, 'issues_changed'),
  commentsMade: integer(row, 'comments_made'),
  tookMs: integer(row, 'took_ms'),
});

/** How long they are kept (milliseconds), and how many refs of one are named. */
const kept = { age: 90 * 24 * 3_600_000, refs: 100 } as const;

/** Remembers one; of a mirror that was removed meanwhile nothing is kept. */
export function addSyncRun(store: Store, one: SyncRun): void {
  transaction(store, () => {
    change(
      store,
      `INSERT INTO sync_run(mirror, part, at, why, error, refs, pushed, commits, bytes, issues_made, issues_changed, comments_made,
         took_ms) SELECT ?1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)`,
      ...[one.mirror, one.part, one.at, one.why, one.error, JSON.stringify(one.refs.slice(0, kept.refs))],
      ...[one.pushed, one.commits, one.bytes, one.issuesMade, one.issuesChanged, one.commentsMade],
      one.tookMs,
    );
    change(store, 'DELETE FROM sync_run WHERE at < ?', one.at - kept.age);
  });
}

/**
 * Of mirrors of repositories that are in service, the newest first.
 * @param of.repository its id; left out: of all @param of.mirror its id; left out: of all
 * @param of.since milliseconds since 1970
 */
export const syncRuns = (
  store: Store,
  of: {
    repository?: string | undefined;
    mirror?: string | undefined;
    since?: number | undefined;
    limit?: number;
  },
): LoggedRun[] =>
  all(
    store,
    // In this order: of one mirror only its own are read, by the index.
    `SELECT s.*, m.name, r.name AS repository
     FROM repository r CROSS JOIN mirror m ON m.repository = r.id CROSS JOIN sync_run s ON s.mirror = m.id
     WHERE r.state = 'active' AND s.at >= ?1 AND (?2 IS NULL OR r.id = ?2) AND (?3 IS NULL OR m.id = ?3) ORDER BY s.id DESC LIMIT ?4`,
    ...[of.since ?? 0, of.repository ?? null, of.mirror ?? null, of.limit ?? -1],
  ).map(read);

import { z } from 'zod';
import { integer, integerOrNull, type Row, text, textOrNull } from './rows.ts';
import { all, change, type Store, transaction } from './store.ts';

/** A ref that a run moved; null: it was not there before, or is not any more. */
const movedRef = z.object({ ref: z.string(), from: z.string().nullable(), to: z.string().nullable() });
export type MovedRef = z.output<typeof movedRef>;

/** One time that something was pushed to a mirror, or could not be. Instants are milliseconds since 1970. */
export type SyncRun = {
  /** The mirror's id. */
  mirror: string;
  at: number;
  /** What made it begin: a push, a retry, the daily comparison, somebody who asked. */
  why: string;
  /** Null when all went well. */
  error: string | null;
  /** The first of them. */
  refs: MovedRef[];
  /** How many refs were pushed. */
  pushed: number;
  /** How many commits were new there. */
  commits: number;
  /** How many bytes went over the line; null when git did not say. */
  bytes: number | null;
  tookMs: number;
};

const read = (row: Row): SyncRun => ({
  mirror: text(row, 'mirror'),
  at: integer(row, 'at'),
  why: text(row, 'why'),
  error: textOrNull(row, 'error'),
  refs: z.array(movedRef).parse(JSON.parse(text(row, 'refs'))),
  pushed: integer(row, 'pushed'),
  commits: integer(row, 'commits'),
  bytes: integerOrNull(row, 'bytes'),
  tookMs: integer(row, 'took_ms'),
});

/** How long they are kept (milliseconds), and how many refs of one are named. */
const kept = { age: 90 * 24 * 3_600_000, refs: 100 } as const;

/** Remembers one; of a mirror that was removed meanwhile nothing is kept. */
export function addSyncRun(store: Store, one: SyncRun): void {
  transaction(store, () => {
    change(
      store,
      `INSERT INTO sync_run(mirror, at, why, error, refs, pushed, commits, bytes, took_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)`,
      one.mirror,
      one.at,
      one.why,
      one.error,
      JSON.stringify(one.refs.slice(0, kept.refs)),
      one.pushed,
      one.commits,
      one.bytes,
      one.tookMs,
    );
    change(store, 'DELETE FROM sync_run WHERE at < ?', one.at - kept.age);
  });
}

/** Of one mirror, the newest first. */
export const syncRunsOf = (store: Store, mirror: string, limit: number): SyncRun[] =>
  all(store, 'SELECT * FROM sync_run WHERE mirror = ? ORDER BY id DESC LIMIT ?', mirror, limit).map(read);

import { integer, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, getSetting, setSetting, type Store, transaction } from './store.ts';

const outcomes = ['ok', 'wrong', 'not done'] as const;

/** One time that a database's newest state was restored from the replica and compared. Instants are milliseconds since 1970. */
export type Verification = {
  /** A repository's id, or `management`. */
  database: string;
  at: number;
  /** `wrong`: the replica can't be relied on. `not done`: it could not be found out. */
  outcome: (typeof outcomes)[number];
  /** Null when all is well. */
  error: string | null;
  /** The transaction whose state it was; 0 when none was found. So with the other numbers. */
  txid: number;
  artifacts: number;
  bytes: number;
  fetchMs: number;
  checkMs: number;
};

const read = (row: Row): Verification => ({
  database: text(row, 'database'),
  at: integer(row, 'at'),
  outcome: oneOf(row, 'outcome', outcomes),
  error: textOrNull(row, 'error'),
  txid: integer(row, 'txid'),
  artifacts: integer(row, 'artifacts'),
  bytes: integer(row, 'bytes'),
  fetchMs: integer(row, 'fetch_ms'),
  checkMs: integer(row, 'check_ms'),
});

/** How long they are kept, and how many of each database at most. Milliseconds. */
const kept = { age: 366 * 24 * 3_600_000, count: 100 } as const;

/** Remembers one; of a repository that was purged meanwhile nothing is kept. */
export function addVerification(store: Store, one: Verification): void {
  transaction(store, () => {
    change(
      store,
      `INSERT INTO verification(database, at, outcome, error, txid, artifacts, bytes, fetch_ms, check_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
       WHERE ?1 = 'management' OR EXISTS (SELECT 1 FROM repository WHERE id = ?1)`,
      one.database,
      one.at,
      one.outcome,
      one.error,
      one.txid,
      one.artifacts,
      one.bytes,
      one.fetchMs,
      one.checkMs,
    );
    change(store, 'DELETE FROM verification WHERE at < ?', one.at - kept.age);
    change(
      store,
      `DELETE FROM verification WHERE database = ?1 AND id NOT IN
         (SELECT id FROM verification WHERE database = ?1 ORDER BY id DESC LIMIT ?2)`,
      one.database,
      kept.count,
    );
  });
}

/** Of each repository and the management database the last one that came to an answer, by database. */
export const lastVerifications = (store: Store): Map<string, Verification> => lastOf(store, 'not done');

/** Of each when it was last tried, whatever came of it. Milliseconds since 1970. */
export const lastAttempts = (store: Store): Map<string, number> =>
  new Map([...lastOf(store, '')].map(([database, { at }]) => [database, at]));

/** One look into the index for each database: a year of them is long. @param except an outcome that doesn't count */
const lastOf = (store: Store, except: string): Map<string, Verification> =>
  new Map(
    all(
      store,
      `SELECT v.* FROM (SELECT id FROM repository UNION ALL SELECT 'management') d JOIN verification v ON v.id =
         (SELECT id FROM verification WHERE database = d.id AND outcome <> ? ORDER BY id DESC LIMIT 1)`,
      except,
    )
      .map(read)
      .map((one) => [one.database, one]),
  );

/** The newest first. */
export const verificationsOf = (store: Store, database: string): Verification[] =>
  all(store, 'SELECT * FROM verification WHERE database = ? ORDER BY id DESC', database).map(read);

/** Nothing of a purged repository is kept. */
export const forgetVerifications = (store: Store, database: string): number =>
  change(store, 'DELETE FROM verification WHERE database = ?', database);

/** Since when this server verifies by itself; undefined while it doesn't. Milliseconds since 1970. */
export const verifyingSince = (store: Store): number | undefined => instant(store, 'verification.since');

/** When the last daily round was begun, or verifying by itself. Milliseconds since 1970. */
export const lastRound = (store: Store): number | undefined => instant(store, 'verification.round');

/** A daily round begins now. The first call says only that there will be some. */
export function noteRound(store: Store, at: number): void {
  transaction(store, () => {
    if (verifyingSince(store) === undefined) setSetting(store, 'verification.since', String(at));
    setSetting(store, 'verification.round', String(at));
  });
}

function instant(store: Store, key: string): number | undefined {
  const value = getSetting(store, key);
  return value === undefined ? undefined : Number(value);
}

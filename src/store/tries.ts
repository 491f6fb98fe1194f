import { integer, integerOrNull, type Row, textOrNull } from './rows.ts';

/** How tries went of what is tried again and again: a mirror, a part of one, an upstream. Instants are milliseconds since 1970. */
export type Tries = {
  /** Null before the first try. */
  triedAt: number | null;
  /** Null before the first success. */
  okAt: number | null;
  /** Why the last try failed, in plain words; null when it did not. */
  error: string | null;
  errorKind: string | null;
  /** How often in a row. */
  failures: number;
  failingSince: number | null;
  /** Null: when it is due, or after a failure not by itself. */
  nextTryAt: number | null;
};

/** What failed counts no longer. */
export const cleared = {
  ...{ error: null, errorKind: null, failures: 0, failingSince: null, nextTryAt: null },
} as const;

/** Before the first try. */
export const untried = { triedAt: null, okAt: null, ...cleared } as const;

/** The columns in the order of `valuesOfTries`. */
export const triesColumns = 'tried_at, ok_at, error, error_kind, failures, failing_since, next_try_at';

export const valuesOfTries = (one: Tries) => [
  ...[one.triedAt, one.okAt, one.error, one.errorKind, one.failures, one.failingSince, one.nextTryAt],
];

export const readTries = (row: Row): Tries => ({
  triedAt: integerOrNull(row, 'tried_at'),
  okAt: integerOrNull(row, 'ok_at'),
  error: textOrNull(row, 'error'),
  errorKind: textOrNull(row, 'error_kind'),
  failures: integer(row, 'failures'),
  failingSince: integerOrNull(row, 'failing_since'),
  nextTryAt: integerOrNull(row, 'next_try_at'),
});

/** What is changed by a try that went well. @param at when it began @param nextTryAt when there is more to do */
export const wentWell = (at: number, nextTryAt: number | null = null): Tries => ({
  ...cleared,
  ...{ triedAt: at, okAt: at, nextTryAt },
});

/** What is changed by a try that failed. @param at when it began @param next when it is tried again, after so many failures in a row */
export function wentWrong(
  before: Tries,
  at: number,
  { error, errorKind }: { error: string; errorKind: string },
  next: (errorKind: string, failures: number) => number | null,
): Omit<Tries, 'okAt'> {
  const failures = before.failures + 1;
  const failingSince = before.failingSince ?? at;
  return { triedAt: at, error, errorKind, failures, failingSince, nextTryAt: next(errorKind, failures) };
}

import { integer, text } from './rows.ts';
import { all, change, type Store } from './store.ts';

/** The issues that are known to be tickets', by the tickets' hashes; `rev`: the state of the ticket that is there. */
export const mirrorIssues = (store: Store, mirror: string): Map<string, { issue: number; rev: string }> =>
  new Map(
    all(store, 'SELECT ticket, issue, rev FROM mirror_issue WHERE mirror = ?', mirror).map((row) => [
      text(row, 'ticket'),
      { issue: integer(row, 'issue'), rev: text(row, 'rev') },
    ]),
  );

export const setMirrorIssue = (
  store: Store,
  mirror: string,
  ticket: string,
  { issue, rev }: { issue: number; rev: string },
): boolean =>
  change(
    store,
    `INSERT INTO mirror_issue(mirror, ticket, issue, rev) SELECT ?1, ?2, ?3, ?4
     WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)
     ON CONFLICT(mirror, ticket) DO UPDATE SET issue = excluded.issue, rev = excluded.rev`,
    ...[mirror, ticket, issue, rev],
  ) > 0;

/** For an issue that somebody deleted. */
export const forgetMirrorIssue = (store: Store, mirror: string, ticket: string): boolean =>
  change(store, 'DELETE FROM mirror_issue WHERE mirror = ? AND ticket = ?', mirror, ticket) > 0;

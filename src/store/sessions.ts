import { createHash } from 'node:crypto';
import { findMember, type Member } from './members.ts';
import { text } from './rows.ts';
import { change, first, type Store } from './store.ts';

/** The database knows only a hash, so that who reads a copy of it cannot use anybody's session. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/**
 * Remembers that a member signed in.
 * @param token what the browser keeps; see `newToken`
 * @param lifetime milliseconds
 */
export function insertSession(
  store: Store,
  member: number,
  token: string,
  lifetime: number,
  now = Date.now(),
): void {
  change(store, 'DELETE FROM session WHERE expires_at <= ?', now);
  change(
    store,
    'INSERT INTO session(token_hash, member, created_at, expires_at) VALUES (?, ?, ?, ?)',
    hashOf(token),
    member,
    now,
    now + lifetime,
  );
}

/** Whose session it is, or undefined: unknown, expired, or the member is disabled. */
export function memberOfSession(store: Store, token: string, now = Date.now()): Member | undefined {
  const row = first(
    store,
    `SELECT login FROM session JOIN member ON member.id = session.member
     WHERE token_hash = ? AND expires_at > ? AND disabled_at IS NULL`,
    hashOf(token),
    now,
  );
  return row && findMember(store, text(row, 'login'));
}

/** Signs out. */
export const endSession = (store: Store, token: string): boolean =>
  change(store, 'DELETE FROM session WHERE token_hash = ?', hashOf(token)) > 0;

/** Signs a member out everywhere. @returns how many sessions were ended */
export const endSessionsOf = (store: Store, member: number): number =>
  change(store, 'DELETE FROM session WHERE member = ?', member);

import { OperatorError } from '../errors.ts';
import { flag, integer, integerOrNull, type Row, text } from './rows.ts';
import { all, change, first, type Store } from './store.ts';

export type Member = {
  id: number;
  /** The login, here and in every repository. */
  login: string;
  displayName: string;
  administrator: boolean;
  /** scrypt, for signing in to the UI; see `secrets/passwords.ts`. */
  passwordHash: string;
  /** The access token, encrypted with the instance key: the Fossil password in every repository. */
  sealedToken: string;
  createdAt: number;
  /** Null while the member may sign in. */
  disabledAt: number | null;
};

const read = (row: Row): Member => ({
  id: integer(row, 'id'),
  login: text(row, 'login'),
  displayName: text(row, 'display_name'),
  administrator: flag(row, 'administrator'),
  passwordHash: text(row, 'password_hash'),
  sealedToken: text(row, 'sealed_token'),
  createdAt: integer(row, 'created_at'),
  disabledAt: integerOrNull(row, 'disabled_at'),
});

export type NewMember = Pick<Member, 'login' | 'administrator' | 'passwordHash' | 'sealedToken'> &
  Partial<Pick<Member, 'displayName' | 'createdAt'>>;

/** @throws OperatorError when the login is taken */
export function insertMember(store: Store, member: NewMember): Member {
  if (findMember(store, member.login))
    throw new OperatorError(`There is already a member ${member.login}.`, { exit: 'usage' });
  change(
    store,
    `INSERT INTO member(login, display_name, administrator, password_hash, sealed_token, created_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
    member.login,
    member.displayName ?? '',
    Number(member.administrator),
    member.passwordHash,
    member.sealedToken,
    member.createdAt ?? Date.now(),
  );
  return getMember(store, member.login);
}

export function findMember(store: Store, login: string): Member | undefined {
  const row = first(store, 'SELECT * FROM member WHERE login = ?', login);
  return row && read(row);
}

/** @throws OperatorError when there is none of that login */
export function getMember(store: Store, login: string): Member {
  const found = findMember(store, login);
  if (!found) throw new OperatorError(`There is no member ${login}.`, { exit: 'usage' });
  return found;
}

/** All, by login; those who are disabled only when asked for. */
export const listMembers = (store: Store, options: { disabled?: boolean } = {}): Member[] =>
  all(
    store,
    'SELECT * FROM member WHERE disabled_at IS NULL OR ? ORDER BY login',
    Number(options.disabled ?? false),
  ).map(read);

/** Changes some fields. A new password or a disabled member ends the member's sessions. */
export function updateMember(
  store: Store,
  id: number,
  changes: Partial<Omit<Member, 'id' | 'login'>>,
): Member {
  const row = first(store, 'SELECT * FROM member WHERE id = ?', id);
  if (!row) throw new OperatorError(`There is no member with the number ${id}.`);
  const before = read(row);
  const after = { ...before, ...changes };
  change(
    store,
    `UPDATE member SET display_name = ?, administrator = ?, password_hash = ?, sealed_token = ?, created_at = ?,
       disabled_at = ? WHERE id = ?`,
    after.displayName,
    Number(after.administrator),
    after.passwordHash,
    after.sealedToken,
    after.createdAt,
    after.disabledAt,
    id,
  );
  if (after.passwordHash !== before.passwordHash || after.disabledAt !== null)
    change(store, 'DELETE FROM session WHERE member = ?', id);
  return after;
}

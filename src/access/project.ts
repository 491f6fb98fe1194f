import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';
import { asOperatorError, openRepository } from '../repos/open.ts';
import { readSetting, writeSetting } from '../repos/settings.ts';
import { type AccessRow, type ProjectAccess, wantedAccess } from './wanted.ts';

/**
 * Settings that decide who gets in and what runs, each with the only value that is safe behind a proxy. `localauth` reads the wrong
 * way round: 1 means that a request from this machine has to log in like any other (login.c, `login_check_credentials`).
 */
export const enforcedSettings: Readonly<Record<string, string>> = {
  localauth: '1',
  'self-register': '0',
  'self-pw-reset': '0',
  'default-perms': '',
  remote_user_ok: '0',
  http_authentication_ok: '0',
  'public-pages': '',
  // A backoffice process stays for up to two minutes after a request and keeps the file open (backoffice.c), so that it could not be
  // drained; it writes to the file when somebody only reads; and it is what would run hooks and send mail.
  'backoffice-disable': '1',
};

export type Projection = {
  /** Rows that were written: users and settings. 0 when all was as wanted. */
  changed: number;
  /** Logins that were signed in and are no longer. */
  ended: string[];
};

/**
 * Writes who may do what into a repository's file: one transaction, only what differs, so that a second call changes
 * nothing and waits for no writer. Rows of unknown logins stay (check-ins point at them) and are blocked. Whoever loses a
 * letter or gets another password is signed out: Fossil would go on accepting the cookie.
 * Rollback or WAL mode, served or not. The file has to be one that fossilrepo made or sanitised.
 * @param file the repository
 * @throws OperatorError when the file isn't there, is no repository, or stays locked for 15 s
 */
export function projectAccess(file: string, access: ProjectAccess): Projection {
  return withDifference(file, access, false, (database, first) => {
    if (countOf(first) === 0) return { changed: 0, ended: [] };
    database.exec('BEGIN IMMEDIATE');
    // Somebody may have written meanwhile.
    const difference = findDifference(database, file, access);
    writeDifference(database, difference);
    database.exec('COMMIT');
    const ended = difference.changed.filter(({ end, signedIn }) => end && signedIn);
    return { changed: countOf(difference), ended: ended.map(({ login }) => login) };
  });
}

/** Whether a file says who may do what as it should; for plans. @throws OperatorError as `projectAccess` does */
export const accessIsRight = (file: string, access: ProjectAccess): boolean =>
  withDifference(file, access, true, (_database, difference) => countOf(difference) === 0);

type UserRow = AccessRow & { uid: number; signedIn: boolean };

/** What has to be written. */
type Difference = {
  changed: (UserRow & { end: boolean })[];
  missing: AccessRow[];
  settings: [name: string, value: string][];
};

const countOf = ({ changed, missing, settings }: Difference): number =>
  changed.length + missing.length + settings.length;

function withDifference<T>(
  file: string,
  access: ProjectAccess,
  readOnly: boolean,
  work: (database: DatabaseSync, difference: Difference) => T,
): T {
  const database = openRepository(file, { readOnly });
  try {
    return work(database, findDifference(database, file, access));
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    // An open transaction is taken back with it.
    database.close();
  }
}

function findDifference(database: DatabaseSync, file: string, access: ProjectAccess): Difference {
  const wanted = wantedAccess({ ...access, projectCode: projectCodeOf(database, file) });
  const seen = new Set<string>();
  const changed: Difference['changed'] = [];
  for (const user of readUsers(database)) {
    // A second row with the same login is possible in a file with a made-up schema: it is blocked.
    const want = seen.has(user.login) ? undefined : wanted.find(({ login }) => login === user.login);
    seen.add(user.login);
    const { cap, pw } = want ?? { cap: '', pw: '' };
    if (user.cap === cap && user.pw === pw && (want || !user.signedIn)) continue;
    const end = !want || user.pw !== pw || losesLetters(user.cap, cap);
    changed.push({ ...user, cap, pw, end });
  }
  return {
    changed,
    missing: wanted.filter(({ login }) => !seen.has(login)),
    settings: Object.entries(enforcedSettings).filter(
      ([name, value]) => readSetting(database, name) !== value,
    ),
  };
}

function writeDifference(database: DatabaseSync, { changed, missing, settings }: Difference): void {
  for (const { uid, cap, pw, end } of changed)
    database
      .prepare(
        `UPDATE user SET cap = ?1, pw = ?2, mtime = unixepoch(),
           cookie = iif(?3, NULL, cookie), cexpire = iif(?3, 0, cexpire) WHERE uid = ?4`,
      )
      .run(cap, pw, Number(end), uid);
  for (const { login, cap, pw } of missing)
    database
      .prepare("INSERT INTO user(login, cap, pw, info, mtime) VALUES (?, ?, ?, '', unixepoch())")
      .run(login, cap, pw);
  for (const [name, value] of settings) writeSetting(database, name, value);
}

const readUsers = (database: DatabaseSync): UserRow[] =>
  database
    .prepare('SELECT uid, login, cap, pw, cookie FROM user ORDER BY uid')
    .all()
    .map((row) => ({
      uid: Number(row['uid']),
      // A value that is no text is never equal to a wanted one.
      login: asText(row['login']),
      cap: asText(row['cap']),
      pw: asText(row['pw']),
      signedIn: row['cookie'] !== null && row['cookie'] !== '',
    }));

/** NULL is not '': such a row is written once. */
const asText = (value: unknown): string => (typeof value === 'string' ? value : '\0');

const losesLetters = (before: string, after: string): boolean =>
  Array.from(before).some((letter) => !after.includes(letter));

function projectCodeOf(database: DatabaseSync, file: string): string {
  const code = readSetting(database, 'project-code');
  if (code === undefined || code === '')
    throw new OperatorError(`${file} has no project code: it is not a complete Fossil repository.`);
  return code;
}

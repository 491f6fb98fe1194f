import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';
import { asOperatorError, openRepository } from '../repos/open.ts';
import { type AccessRow, type ProjectAccess, wantedAccess } from './wanted.ts';

/**
 * Settings that decide who gets in, each with the only value that is safe behind a proxy. `localauth` reads the wrong
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
};

export type Projection = {
  /** Rows that were written: users and settings. 0 when all was as wanted. */
  changed: number;
  /** Logins that were signed in and are no longer. */
  ended: string[];
};

/**
 * Writes who may do what into a repository's file: one transaction, only what differs, so that a second call changes
 * nothing. Rows of unknown logins stay (check-ins point at them) and are blocked. Whoever loses a letter or gets another
 * password is signed out: Fossil would go on accepting the cookie.
 * Rollback or WAL mode, served or not. The file has to be one that fossilrepo made or sanitised.
 * @param file the repository
 * @throws OperatorError when the file isn't there, is no repository, or stays locked for 15 s
 */
export function projectAccess(file: string, access: ProjectAccess): Projection {
  const database = openRepository(file, { readOnly: false });
  try {
    database.exec('BEGIN IMMEDIATE');
    const wanted = wantedAccess({ ...access, projectCode: projectCodeOf(database, file) });
    const users = projectUsers(database, wanted);
    const changed = users.changed + enforceSettings(database);
    database.exec('COMMIT');
    return { changed, ended: users.ended };
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    // An open transaction is taken back with it.
    database.close();
  }
}

type UserRow = AccessRow & { uid: number; signedIn: boolean };

function projectUsers(database: DatabaseSync, wanted: readonly AccessRow[]): Projection {
  const present = readUsers(database);
  const seen = new Set<string>();
  const ended: string[] = [];
  let changed = 0;
  for (const user of present) {
    // A second row with the same login is possible in a file with a made-up schema: it is blocked.
    const want = seen.has(user.login) ? undefined : wanted.find(({ login }) => login === user.login);
    seen.add(user.login);
    const { cap, pw } = want ?? { cap: '', pw: '' };
    if (user.cap === cap && user.pw === pw && (want || !user.signedIn)) continue;
    const end = !want || user.pw !== pw || losesLetters(user.cap, cap);
    database
      .prepare(
        `UPDATE user SET cap = ?1, pw = ?2, mtime = unixepoch(),
           cookie = iif(?3, NULL, cookie), cexpire = iif(?3, 0, cexpire) WHERE uid = ?4`,
      )
      .run(cap, pw, Number(end), user.uid);
    changed += 1;
    if (end && user.signedIn) ended.push(user.login);
  }
  for (const { login, cap, pw } of wanted.filter(({ login }) => !seen.has(login))) {
    database
      .prepare("INSERT INTO user(login, cap, pw, info, mtime) VALUES (?, ?, ?, '', unixepoch())")
      .run(login, cap, pw);
    changed += 1;
  }
  return { changed, ended };
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

function enforceSettings(database: DatabaseSync): number {
  const find = database.prepare('SELECT value FROM config WHERE name = ?');
  const write = database.prepare(
    `INSERT INTO config(name, value, mtime) VALUES (?, ?, unixepoch())
     ON CONFLICT(name) DO UPDATE SET value = excluded.value, mtime = excluded.mtime`,
  );
  const differing = Object.entries(enforcedSettings).filter(
    ([name, value]) => find.get(name)?.['value'] !== value,
  );
  for (const [name, value] of differing) write.run(name, value);
  return differing.length;
}

function projectCodeOf(database: DatabaseSync, file: string): string {
  const code = database.prepare("SELECT value FROM config WHERE name = 'project-code'").get()?.['value'];
  if (typeof code !== 'string' || code === '')
    throw new OperatorError(`${file} has no project code: it is not a complete Fossil repository.`);
  return code;
}

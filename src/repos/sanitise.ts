import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { forbiddenLetters } from '../access/capabilities.ts';
import { specialLogins } from '../access/wanted.ts';
import { OperatorError } from '../errors.ts';
import { hasFossilTables } from './file.ts';
import { asidePrefix, fateOf } from './foreign-settings.ts';
import { makeCoreTablesAnew, removeForeignSchema } from './foreign-schema.ts';
import { asOperatorError, openRepository } from './open.ts';

/** What was changed in a file from outside. All empty when it was harmless. */
export type Sanitised = {
  /** Users who lost letters: Fossil's letters before and after. */
  users: { login: string; from: string; to: string }[];
  /** Logins whose password stood there in clear text and is now a hash. */
  passwords: string[];
  /** Settings that are gone. */
  settings: string[];
  /** Settings that are kept under another name, where Fossil does not read them. */
  aside: string[];
  /** Triggers, views and virtual tables that are gone. */
  schema: string[];
  /** All of it in words, a line each. */
  words: string[];
};

/**
 * Makes a repository's file from outside safe to serve. Whoever wrote it may have put triggers into it that make
 * themselves administrator, settings that run commands, or a table of users that is none. One transaction; a second call
 * changes nothing. Project access into the file afterwards: users who are no members still have letters and passwords.
 * @throws OperatorError when the file is damaged, no complete repository, or cannot be made safe
 */
export function sanitise(file: string): Sanitised {
  const database = openRepository(file, { readOnly: false });
  try {
    if (!hasFossilTables(database)) throw notComplete(file);
    const damage = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (damage !== 'ok') throw new OperatorError(`${file} is damaged: ${String(damage)}.`, { exit: 'check' });
    database.exec('BEGIN IMMEDIATE');
    const schema = removeForeignSchema(database);
    makeCoreTablesAnew(database);
    const projectCode = projectCodeOf(database, file);
    const { settings, aside } = cleanSettings(database);
    const { users, passwords } = cleanUsers(database, projectCode);
    database.exec('COMMIT');
    const result = { users, passwords, settings, aside, schema };
    return { ...result, words: inWords(result) };
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

function cleanSettings(database: DatabaseSync): Pick<Sanitised, 'settings' | 'aside'> {
  const rows = database
    .prepare('SELECT name, CAST(substr(value, 1, 100) AS TEXT) AS value FROM config')
    .all();
  const fates = rows.map((row) => {
    const name = String(row['name']);
    return { name, fate: fateOf(name, String(row['value'])) };
  });
  const named = (fate: string) => fates.filter((row) => row.fate === fate).map(({ name }) => name);
  const remove = database.prepare('DELETE FROM config WHERE name = ?');
  const rename = database.prepare('UPDATE OR REPLACE config SET name = ? WHERE name = ?');
  for (const name of [...named('dropped'), ...named('removed')]) remove.run(name);
  for (const name of named('aside')) rename.run(`${asidePrefix}${name}`, name);
  return { settings: named('removed').sort(), aside: named('aside').sort() };
}

function cleanUsers(database: DatabaseSync, projectCode: string): Pick<Sanitised, 'users' | 'passwords'> {
  const users: Sanitised['users'] = [];
  const passwords: string[] = [];
  const write = database.prepare(
    'UPDATE user SET cap = ?, pw = ?, cookie = NULL, cexpire = 0, mtime = unixepoch() WHERE uid = ?',
  );
  const rows = database.prepare('SELECT uid, login, cap, pw, cookie FROM user ORDER BY uid').all();
  for (const row of rows) {
    const login = String(row['login'] ?? '');
    const from = String(row['cap'] ?? '');
    const pw = String(row['pw'] ?? '');
    const to = Array.from(from)
      .filter((letter) => !forbiddenLetters.some((forbidden) => forbidden === letter))
      .join('');
    const isClear = !isSpecial(login) && !/^([0-9a-f]{40}|\*|)$/.test(pw);
    if (to === from && !isClear && row['cookie'] === null) continue;
    if (to !== from) users.push({ login, from, to });
    if (isClear) passwords.push(login);
    write.run(to, isClear ? hashOf(projectCode, login, pw) : pw, row['uid'] ?? null);
  }
  return { users, passwords };
}

const isSpecial = (login: string): boolean => specialLogins.some((special) => special === login);

const hashOf = (projectCode: string, login: string, password: string): string =>
  createHash('sha1').update(`${projectCode}/${login}/${password}`).digest('hex');

/** The code is part of every password's hash and of the cookie's name, so it must not be able to be anything else. */
function projectCodeOf(database: DatabaseSync, file: string): string {
  const code = database.prepare("SELECT value FROM config WHERE name = 'project-code'").get()?.['value'];
  if (code === undefined) throw notComplete(file);
  if (typeof code !== 'string' || !/^[0-9a-fA-F]{40,64}$/.test(code))
    throw new OperatorError(`${file} has a project code that Fossil would not make.`, { exit: 'check' });
  return code;
}

function inWords({ users, passwords, settings, aside, schema }: Omit<Sanitised, 'words'>): string[] {
  const list = (names: readonly string[]) =>
    names.map((name) => JSON.stringify(name).slice(1, -1)).join(', ');
  const lines: [boolean, string][] = [
    ...users.map(({ login, from, to }): [boolean, string] => [
      true,
      `${list([login])} is no longer administrator of it (${list([from])} → ${list([to]) || 'nothing'})`,
    ]),
    [passwords.length > 0, `passwords that stood in clear text are hashed: ${list(passwords)}`],
    [
      settings.length > 0,
      `settings that run something or lead out of the repository are removed: ${list(settings)}`,
    ],
    [aside.length > 0, `settings are put aside, Fossil's own are used instead: ${list(aside)}`],
    [schema.length > 0, `what Fossil would not have put into its database is removed: ${list(schema)}`],
  ];
  return lines.filter(([applies]) => applies).map(([, line]) => line);
}

const notComplete = (file: string): OperatorError =>
  new OperatorError(`${file} is not a complete Fossil repository.`, { exit: 'check' });

import { createHash } from 'node:crypto';
import { OperatorError } from '../errors.ts';
import type { Secret } from '../secrets/secret.ts';
import type { Visibility } from '../store/repositories.ts';
import { capabilitiesOf, type Role, strangersCapabilities } from './capabilities.ts';

/** A member as a repository knows one. */
export type ProjectMember = {
  login: string;
  /** The access token: the password in the repository. */
  token: Secret;
  role: Role;
};

/** Who may do what in one repository, as the management database says. */
export type ProjectAccess = {
  visibility: Visibility;
  archived: boolean;
  members: readonly ProjectMember[];
};

/** A row of Fossil's user table, as it is to be. */
export type AccessRow = {
  login: string;
  /** Fossil's letters. */
  cap: string;
  /** Hex SHA1 of `project-code/login/password`, or '' for who cannot sign in. */
  pw: string;
};

/** Fossil's own rows: classes of users, not persons. Nobody can sign in as one (login.c, `login_is_special`). */
export const specialLogins = ['nobody', 'anonymous', 'developer', 'reader'] as const;

/**
 * The user rows that follow from who may do what: Fossil's four classes, then the members. Whoever else has a row in the
 * file is blocked.
 */
export function wantedAccess(access: ProjectAccess & { projectCode: string }): AccessRow[] {
  const strangers = strangersCapabilities(access.visibility, access.archived);
  const classes = specialLogins.map((login) => ({
    login,
    // `developer` and `reader` are what `v` and `u` stand for; nobody has those, and now they stand for nothing.
    cap: login === 'nobody' || login === 'anonymous' ? strangers[login] : '',
    pw: '',
  }));
  const members = access.members.map((member) => {
    checkLogin(member.login);
    return {
      login: member.login,
      cap: capabilitiesOf(member.role, access.archived),
      pw: passwordHash(access.projectCode, member.login, member.token),
    };
  });
  return [...classes, ...members];
}

/** Fossil's `sha1_shared_secret` (sha1.c). */
const passwordHash = (projectCode: string, login: string, token: Secret): string =>
  createHash('sha1').update(`${projectCode}/${login}/${token.reveal()}`).digest('hex');

/**
 * Refuses a login that Fossil, a URL or a command line would take for something else.
 * @throws OperatorError (usage)
 */
export function checkLogin(login: string): void {
  if (specialLogins.some((special) => special === login))
    throw new OperatorError(`${login} is a class of users in every Fossil repository.`, {
      next: 'Choose another login.',
      exit: 'usage',
    });
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(login))
    throw new OperatorError(`${login} cannot be a login.`, {
      next: 'Use 1 to 63 of a-z, 0-9, dot, underscore and minus, and begin with a letter or a digit.',
      exit: 'usage',
    });
}

import type { Visibility } from '../store/repositories.ts';

/** From the strongest to the weakest. */
export const roles = ['owner', 'maintainer', 'developer', 'reporter', 'viewer'] as const;
export type Role = (typeof roles)[number];

/**
 * Every letter is written out: never `u` or `v`, which would stand for whatever a repository's own `reader` and
 * `developer` rows say. No role has
 * - `a` (Admin) or `s` (Setup): one repository's Admin can take over every repository of the same service user, by
 *   pushing a configuration and from there by Tcl, hooks or login groups;
 * - `p` (own password): the password in a repository is the member's access token, which only fossilrepo changes. One
 *   that was changed on Fossil's page would be changed back within seconds.
 *
 * A member's letters (login.c, `login_set_capabilities`): b attach, c append to tickets, e read addresses, f new wiki
 * page, g clone, h hyperlinks, i check in, j read wiki, k edit wiki, l moderate wiki, m append to wiki, n new ticket,
 * o read code, q moderate tickets, r read tickets, t ticket reports, w edit tickets, x private branches, y unversioned
 * files, z archives, 2 read forum, 3 write forum, 4 unmoderated forum, 5 moderate forum, 6 administer forum, 7 e-mail
 * alerts, A announcements, C chat, D debugging.
 */
const lettersOf: Record<Role, string> = {
  owner: 'bcefghijklmnoqrtwxyz23456ACD',
  maintainer: 'bcefghijklmnoqrtwxyz23456ACD',
  developer: 'bcefghijkmnortwyz234C',
  reporter: 'bcghjnorz23',
  viewer: 'ghjorz',
};

/** What somebody without a login gets. Fossil adds `anonymous` to `nobody` for whoever typed the captcha. */
const lettersOfStrangers: Record<Visibility, { nobody: string; anonymous: string }> = {
  public: { nobody: 'gjorz', anonymous: 'hz' },
  internal: { nobody: '', anonymous: '' },
  private: { nobody: '', anonymous: '' },
};

/**
 * The letters that only read. An archived repository keeps no other, for nobody: Fossil 2.21 has no read-only switch.
 * A list of what may stay, so that a letter that a later Fossil adds is taken away too. Not in it although they sound
 * harmless: `t` (stores reports), `7` (stores subscriptions), `A` (sends mail), `C` (stores messages), `D`.
 */
const readingLetters = 'eghjorxz2';

/** The letters of a role. The administrator of the installation has an owner's everywhere. */
export const capabilitiesOf = (role: Role, archived: boolean): string =>
  archivable(lettersOf[role], archived);

/** The letters of Fossil's `nobody` and `anonymous`. */
export const strangersCapabilities = (
  visibility: Visibility,
  archived: boolean,
): { nobody: string; anonymous: string } => ({
  nobody: archivable(lettersOfStrangers[visibility].nobody, archived),
  anonymous: archivable(lettersOfStrangers[visibility].anonymous, archived),
});

const archivable = (letters: string, archived: boolean): string =>
  archived
    ? Array.from(letters)
        .filter((letter) => readingLetters.includes(letter))
        .join('')
    : letters;

/** Letters that nobody may hold in a repository that is served. */
export const forbiddenLetters = ['a', 's'] as const;

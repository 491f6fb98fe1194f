import { hashPassword, newPassword } from '../secrets/passwords.ts';
import type { Secret } from '../secrets/secret.ts';
import { findMember, updateMember } from '../store/members.ts';
import { getSetting, setSetting, type Store } from '../store/store.ts';

/** The first member, who may everything that is safe. */
export const administratorLogin = 'admin';

/** Says that the administrator's first password has been shown; until then nobody knows it. */
const shown = 'administrator-password-shown';

/** A password for the administrator, as long as none was ever shown: an install that was killed before left nobody with one. */
export async function firstPassword(store: Store): Promise<Secret | undefined> {
  const member = findMember(store, administratorLogin);
  if (!member || getSetting(store, shown) !== undefined) return undefined;
  const password = newPassword();
  updateMember(store, member.id, { passwordHash: await hashPassword(password.reveal()) });
  return password;
}

/** Call after the password was printed. */
export function passwordWasShown(store: Store): void {
  setSetting(store, shown, new Date().toISOString());
}

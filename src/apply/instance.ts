import { hashPassword, newPassword, newToken } from '../secrets/passwords.ts';
import { loadSecrets } from '../secrets/load.ts';
import { seal } from '../secrets/seal.ts';
import type { Paths } from '../config/paths.ts';
import { findMember, insertMember, updateMember } from '../store/members.ts';
import { createInstance, getSetting, openStore, setSetting, type Store } from '../store/store.ts';
import type { Secret } from '../secrets/secret.ts';

/** The first member, who may everything that is safe. */
export const administratorLogin = 'admin';

/** Says that the administrator's first password has been shown; until then nobody knows it. */
const shown = 'administrator-password-shown';

/** Makes the management database with the instance's identity and its administrator. */
export async function makeInstance(paths: Paths): Promise<void> {
  using store = openStore(paths);
  createInstance(store);
  if (findMember(store, administratorLogin)) return;
  const { instanceKey } = loadSecrets(paths);
  insertMember(store, {
    login: administratorLogin,
    displayName: 'Administrator',
    administrator: true,
    passwordHash: await hashPassword(newPassword().reveal()),
    sealedToken: seal(instanceKey, `token:${administratorLogin}`, newToken().reveal()),
  });
}

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

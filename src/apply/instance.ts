import { hashPassword, newPassword, newToken } from '../secrets/passwords.ts';
import { loadSecrets } from '../secrets/load.ts';
import { seal } from '../secrets/seal.ts';
import { administratorLogin } from '../access/administrator.ts';
import type { Paths } from '../config/paths.ts';
import { findMember, insertMember } from '../store/members.ts';
import { createInstance, openStore } from '../store/store.ts';

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

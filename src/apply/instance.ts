import { existsSync } from 'node:fs';
import { hashPassword, newPassword, newToken } from '../secrets/passwords.ts';
import { loadSecrets } from '../secrets/load.ts';
import { seal } from '../secrets/seal.ts';
import { administratorLogin } from '../access/administrator.ts';
import type { Paths } from '../config/paths.ts';
import { removeDatabase } from '../repos/make.ts';
import { findMember, insertMember } from '../store/members.ts';
import { createInstance, openStore, putInPlace } from '../store/store.ts';

/**
 * Makes the management database with the instance's identity and its administrator: beside, so that one that was killed leaves no
 * database without them, and none of root's that the service user may not open.
 */
export async function makeInstance(paths: Paths): Promise<void> {
  if (existsSync(paths.database)) {
    await fill(paths, paths.database);
    return;
  }
  const beside = `${paths.database}.new`;
  removeDatabase(beside);
  await fill(paths, beside);
  putInPlace(beside, paths);
}

async function fill(paths: Paths, database: string): Promise<void> {
  using store = openStore({ database });
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

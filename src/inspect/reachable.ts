import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isWithin } from '../system/files.ts';
import { findUser, type ServiceUser } from '../system/identity.ts';
import type { Run } from '../system/run.ts';

/** Where systemd shows our units an empty folder, or one of their own (ProtectHome= and PrivateTmp= in templates/). */
const unseen = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];

/**
 * Why a part doesn't reach a path under systemd, where what root can do says nothing: some folders are hidden from units, and its user has
 * to be let through each folder above. Links are followed. Undefined when nothing speaks against it.
 */
export async function whyUnreachable(
  path: string,
  user: ServiceUser,
  run: Run,
): Promise<{ why: string; next: string } | undefined> {
  const real = realOf(path);
  const hidden = unseen.find((folder) => isWithin(path, folder) || isWithin(real, folder));
  if (hidden !== undefined)
    return {
      why: `the server's units see nothing of ${hidden}`,
      next: 'Use a place elsewhere, as below /srv, /mnt or /opt.',
    };
  for (const folder of foldersAbove(real))
    if (!(await mayPass(folder, user, run)))
      return {
        why: `the user ${user} may not go through ${folder}`,
        next: `Let it with chmod o+x ${folder}, or use a place elsewhere.`,
      };
  return undefined;
}

/** A path with its links followed, as far as it is there. */
export function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    if (above === path) return path;
    const real = realOf(above);
    return `${real === '/' ? '' : real}/${path.slice(path.lastIndexOf('/') + 1)}`;
  }
}

/** Those that are there, the uppermost first. */
function foldersAbove(path: string): string[] {
  const above = dirname(path);
  const folders = above === path ? [] : [...foldersAbove(above), above];
  return folders.filter((folder) => existsSync(folder));
}

/** A user who is yet to be made is one of the others to every folder; one who is there may have groups and be in access lists. */
async function mayPass(folder: string, name: ServiceUser, run: Run): Promise<boolean> {
  const mode = statSync(folder).mode;
  if ((mode & 0o001) !== 0) return true;
  const user = findUser(name);
  if (user === undefined) return false;
  const as = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups'];
  const { code } = await run({ argv: ['setpriv', ...as, '--', 'test', '-x', folder], accept: [1] });
  return code === 0;
}

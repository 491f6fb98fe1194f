import { join } from 'node:path';
import { accessTo, tokenOf } from '../access/members.ts';
import { projectAccess } from '../access/project.ts';
import { exitCodes, messageOf } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { newToken } from '../secrets/passwords.ts';
import { seal } from '../secrets/seal.ts';
import type { GlobalOptions } from '../server.ts';
import { getMember, updateMember } from '../store/members.ts';
import { withLock } from '../system/locks.ts';
import { listRepositories } from '../store/repositories.ts';

/** `fossilrepo user token LOGIN [--rotate]`: the password for clone and push. */
export async function userToken(
  options: GlobalOptions,
  login: string,
  flags: { rotate: boolean; dryRun: boolean },
): Promise<void> {
  await withForge(options, async (forge) => {
    if (flags.rotate && flags.dryRun) {
      getMember(forge.store, login);
      const repositories = served(forge).map(({ name }) => name);
      const lines = repositories.map((name) => `- write another token of ${login} into ${name}`);
      forge.out.result({ login, repositories }, lines.join('\n'));
      return;
    }
    if (flags.rotate) await withLock(forge.paths, 'changes', 60_000, () => rotate(forge, login));
    const token = tokenOf(forge, getMember(forge.store, login)).reveal();
    forge.out.result({ login, token }, token);
  });
}

/** Where tokens are, the canary included. */
const served = ({ store }: Forge) =>
  listRepositories(store, { hidden: true }).filter(({ state }) => state === 'active');

/** A new token, in every repository. The loop goes on with those that failed now. */
function rotate(forge: Forge, login: string): Promise<void> {
  const member = getMember(forge.store, login);
  updateMember(forge.store, member.id, {
    sealedToken: seal(forge.secrets.instanceKey, `token:${login}`, newToken().reveal()),
  });
  const failed: string[] = [];
  for (const row of served(forge)) {
    try {
      projectAccess(join(forge.paths.data, row.file), accessTo(forge, row));
    } catch (error) {
      failed.push(`${row.name}: ${messageOf(error)}`);
    }
  }
  if (failed.length === 0) return Promise.resolve();
  for (const line of failed) forge.out.warn(`the old token still works in ${line}`);
  forge.out.warn('The loop goes on with these until it succeeds.');
  process.exitCode = exitCodes.partly;
  return Promise.resolve();
}

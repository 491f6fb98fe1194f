import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../errors.ts';
import { gitHashObject, gitInitBare, gitPush } from '../../programs/git.ts';
import { readPush } from '../../programs/git-output.ts';
import { explain, RemoteError } from './error.ts';
import { listRemote, type RemoteGit } from './remote.ts';
import type { Refs } from './standing.ts';

/** What was found out about a remote without changing it. */
export type Probe = {
  /** Its branches and tags. */
  refs: Refs;
  /** Why the credential may not push, as far as a remote tells before something is pushed; undefined when it may. */
  refused: RemoteError | undefined;
};

const emptyTree = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const nobody = 'fossilrepo <fossilrepo@localhost> 0 +0000';

/**
 * Tries a remote: whether it answers, knows the credential, and lets it push. The last is a push that stops before anything is sent, of a
 * branch that nobody has; branch protection shows only in a real one.
 * @throws RemoteError when it can't even be read
 */
export async function probeRemote(git: RemoteGit): Promise<Probe> {
  const refs = await listRemote(git);
  const folder = join(git.folder, 'probe');
  await git.local(gitInitBare(folder));
  const commit = `tree ${emptyTree}\nauthor ${nobody}\ncommitter ${nobody}\n\nnothing\n`;
  const { stdout: hash } = await git.local(gitHashObject(folder, 'commit', commit));
  const update = { ref: `refs/heads/fossilrepo-${hash.slice(0, 8)}`, to: hash.trim(), expected: undefined };
  try {
    const push = gitPush(folder, git.address.url, [update], { dryRun: true });
    const { stdout, stderr } = await git.run(push, 'ask');
    const [line] = readPush(stdout);
    const refused = line?.flag === 'created' ? unwritable(git) : explain(git.address, stderr, 'answered');
    return { refs, refused };
  } catch (error) {
    if (error instanceof RemoteError && error.kind !== 'timeout' && error.kind !== 'unreachable')
      return { refs, refused: error };
    throw error;
  }
}

/** A push into a folder that stops before anything is sent doesn't notice that nothing could be written there. */
function unwritable({ address }: RemoteGit): RemoteError | undefined {
  if (address.protocol !== 'file') return undefined;
  const objects = ['objects', '.git/objects'].map((name) => join(address.path, name)).find(existsSync);
  try {
    if (objects !== undefined) accessSync(objects, constants.W_OK);
    return undefined;
  } catch (error) {
    return explain(address, `${messageOf(error)}: insufficient permission`, 'answered');
  }
}

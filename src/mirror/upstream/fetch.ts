import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import { gitInitBare } from '../../programs/git.ts';
import { readRefs } from '../../programs/git-output.ts';
import { gitFetchRefs, gitRemoteHead, gitShowRefs, readRemoteHead } from '../../programs/git-fast-export.ts';
import type { ImportedRefs } from '../../store/git-imports.ts';
import type { RemoteGit } from '../remote/remote.ts';

/**
 * Fetches the branches and tags of a remote into a bare repository; it may be killed and called again. Objects that no ref leads to any more
 * stay there.
 * @returns the refs that are here then @throws RemoteError
 */
export async function fetchRefs(git: RemoteGit, folder: string): Promise<ImportedRefs> {
  if (!existsSync(join(folder, 'HEAD'))) {
    rmSync(folder, { recursive: true, force: true });
    await git.local(gitInitBare(folder));
  }
  await git.run(gitFetchRefs(folder, git.address.url), 'move');
  const { stdout } = await git.local(gitShowRefs(folder));
  return readRefs(stdout);
}

/** The branch that people get who clone a remote. @throws OperatorError when it has no branch */
export async function mainBranch(git: RemoteGit, refs: ImportedRefs): Promise<string> {
  const { stdout } = await git.run(gitRemoteHead(git.address.url), 'ask');
  const head = readRemoteHead(stdout);
  const branches = [...refs.keys()].flatMap((ref) => /^refs\/heads\/(.*)$/s.exec(ref)?.[1] ?? []);
  const main = [head, 'main', 'master', 'trunk', ...branches.sort()].find(
    (name) => name !== undefined && branches.includes(name),
  );
  if (main !== undefined) return main;
  throw new OperatorError(`${git.address.url} has no branch: there is nothing to import.`, {
    next: 'Push something there first, or make an empty repository here.',
    exit: 'usage',
  });
}

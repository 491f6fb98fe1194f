import {
  gitDropUnreachable,
  gitJoinPacks,
  gitLookFor,
  gitUpdateRefs,
  readMissing,
} from '../../programs/git-cache.ts';
import type { Run } from '../../system/run.ts';
import { importRef } from './commits.ts';
import { type Hashes, notePacks, packsIn } from './hashes.ts';

const keepRef = (commit: string): string => `refs/fossil/keep/${commit}`;

/** More packs than this are joined. */
const mostPacks = 24;

/** Gives every commit that no other one leads to a ref of its own: what has no ref is lost at the next tidying up. */
export async function keepAlive(
  run: Run,
  git: string,
  hashes: Hashes,
  leaves: ReadonlySet<string>,
): Promise<void> {
  const kept = hashes.kept();
  const fresh = leaves.difference(kept);
  const former = kept.difference(leaves);
  if (fresh.size === 0 && former.size === 0) return;
  const changes = new Map<string, string | undefined>([[importRef, undefined]]);
  for (const commit of fresh) changes.set(keepRef(commit), commit);
  for (const commit of former) changes.set(keepRef(commit), undefined);
  await run(gitUpdateRefs(git, changes));
  hashes.change((each) => {
    each(
      'DELETE FROM kept WHERE git = ?',
      [...former].map((commit) => [commit]),
    );
    each(
      'INSERT INTO kept(git) VALUES (?)',
      [...fresh].map((commit) => [commit]),
    );
  });
}

/** Joins packs when there are many: each import makes one. @returns whether it did */
export async function joinPacks(run: Run, git: string): Promise<boolean> {
  const packs = [...packsIn(git).keys()].filter((name) => name.endsWith('.pack'));
  if (packs.length <= mostPacks) return false;
  await run(gitJoinPacks(git));
  return true;
}

/** Drops what nothing leads to any more, as after a restore or when something was shunned; joins packs when there are many. */
export async function tidy(run: Run, git: string, hashes: Hashes): Promise<void> {
  if (hashes.isDropping()) {
    // Whatever happened to the refs: what they don't lead to is gone afterwards.
    await run(gitUpdateRefs(git, new Map([...hashes.kept()].map((commit) => [keepRef(commit), commit]))));
    await run(gitDropUnreachable(git));
    const { stdout } = await run(gitLookFor(git, hashes.files()));
    hashes.change((each) => {
      each(
        'DELETE FROM file WHERE git = ?',
        readMissing(stdout).map((hash) => [hash]),
      );
      each('DELETE FROM dropping', [[]]);
      notePacks(each, git);
    });
  } else if (await joinPacks(run, git)) {
    hashes.change((each) => notePacks(each, git));
  }
}

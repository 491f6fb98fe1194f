import type { RefUpdate } from '../../programs/git.ts';
import type { ForeignCommit } from '../../programs/git-output.ts';
import { type Foreign, foreignValues, readForeign } from './foreign.ts';
import { listRemote, type RemoteGit } from './remote.ts';
import { type Policy, type Refs, type Standing, standings, updateOf } from './standing.ts';

/** What a remote is to look like. */
export type PushRequest = {
  /** The cache, a bare Git repository that has every wanted commit. */
  folder: string;
  /** Branches and tags with their Git hashes. */
  wanted: Refs;
  /** What was last pushed there, as it was written down. */
  last: Refs;
  policy: Policy;
  /** The ref of the main branch, as `refs/heads/main`: a remote that is empty gets it first. */
  main?: string | undefined;
};

/** A ref that the remote has otherwise than we left it. */
export type Divergence = Foreign & {
  ref: string;
  there: string;
  /** What we pushed last; undefined for a ref that isn't ours and has a name that is wanted. */
  last: string | undefined;
  wanted: string | undefined;
  /** The policy says to put ours in its place. */
  overwrite: boolean;
};

/** How many of a ref's foreign commits are named. */
const named = 3;

/** `refs/heads/main (2 foreign commits: 1a2b3c4d5e Ann: a subject, …)` */
export function describeDivergence({ ref, commits, more, unread }: Divergence): string {
  if (unread !== undefined) return `${ref} (whose commits could not be read)`;
  if (commits.length === 0) return `${ref} (points elsewhere)`;
  const count = `${commits.length}${more ? ' or more' : ''}`;
  const shown = commits.slice(0, named).map(describeCommit);
  const rest = commits.length > named ? ', …' : '';
  return `${ref} (${count === '1' ? 'one foreign commit' : `${count} foreign commits`}: ${shown.join(', ')}${rest})`;
}

const describeCommit = ({ hash, author, subject }: ForeignCommit): string =>
  `${hash.slice(0, 10)} ${author}: ${subject.length > 60 ? `${subject.slice(0, 60)}…` : subject}`;

/** What a push would do: data, made by looking. */
export type PushPlan = {
  standings: readonly Standing[];
  /** In the order of `standings`; the diverged ones only where they are overwritten. */
  updates: readonly RefUpdate[];
  diverged: readonly Divergence[];
  policy: Policy;
  /** To be pushed first: the remote has no branch yet. */
  first: string | undefined;
};

/** Looks at a remote, and says what a push would do there. It changes nothing. @throws RemoteError */
export async function planPush(git: RemoteGit, request: PushRequest): Promise<PushPlan> {
  const { folder, wanted, last, policy } = request;
  const there = await listRemote(git);
  const all = standings({ there, wanted, last });
  const unknown = all.flatMap(({ state, there }) =>
    state === 'unknown' && there !== undefined ? [there] : [],
  );
  const foreign = await foreignValues(git, folder, unknown, wanted);
  const isForeign = ({ state, there }: Standing): boolean =>
    state === 'unknown' && there !== undefined && foreign.has(there);
  const values = new Map(
    all.filter(isForeign).flatMap(({ ref, there }) => (there === undefined ? [] : [[ref, there] as const])),
  );
  const logs = await readForeign(git, folder, values, [...wanted.values(), ...last.values()]);
  const overwrite = policy === 'overwrite';
  return {
    standings: all,
    updates: all
      .filter((standing) => standing.state !== 'same' && (overwrite || !isForeign(standing)))
      .map(updateOf),
    diverged: all.flatMap(({ ref, wanted, last }) => {
      const [there, log] = [values.get(ref), logs.get(ref)];
      return there === undefined || log === undefined
        ? []
        : [{ ref, there, last, wanted, overwrite, ...log }];
    }),
    policy,
    first: [...there.keys()].some((ref) => ref.startsWith('refs/heads/')) ? undefined : request.main,
  };
}

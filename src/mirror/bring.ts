import type { Forge } from '../forge.ts';
import type { Why } from '../plan/sync.ts';
import { gitBeyond } from '../programs/git.ts';
import { type PushedRef, pushedRefs, setPushedRefs } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { MovedRef } from '../store/sync-runs.ts';
import type { MirrorCache } from './export/cache.ts';
import { remoteOf } from './credential.ts';
import { movedRefs, movedThere, type WantedRef, wantedOf } from './difference.ts';
import type { RemoteError } from './remote/error.ts';
import { describeDivergence } from './remote/plan-push.ts';
import { pushRefs } from './remote/push.ts';
import { type RemoteGit, withRemote } from './remote/remote.ts';
import { lookForGone, type Rewound } from './rewound.ts';

/** What was done for one mirror. */
export type Brought = {
  /** The refs that were moved there. */
  refs: MovedRef[];
  /** How many commits it did not have. */
  commits: number;
  /** Bytes that went over. */
  bytes: number;
  /** Whether the remote itself was asked what it has. */
  compared: boolean;
  rewound: Rewound | undefined;
  /** What went from there since Fossil has its check-ins no longer, without a restore. In words. */
  lost: readonly string[];
  /** What others had pushed and is gone there now, as the mirror's policy says. In words. */
  overwrote: readonly string[];
  /** Of what was refused, when some was. */
  error: RemoteError | undefined;
};

/**
 * Brings one mirror to what the repository holds. What was last pushed is known, so that without a difference nothing is asked of anybody, but
 * for a comparison. What came there is remembered also when something else was refused.
 * @throws OperatorError when nothing could be pushed
 */
export async function bringMirror(
  forge: Forge,
  mirror: Mirror,
  cache: MirrorCache,
  { why, signal }: { why: Why; signal?: AbortSignal | undefined },
): Promise<Brought> {
  const { store } = forge;
  const wanted = wantedOf(mirror, cache);
  const byRef = new Map(wanted.map((one) => [one.ref, one.git]));
  const last = pushedRefs(store, mirror.id);
  // Of one that failed it isn't known how it stands there.
  const quiet = (why === 'push' || why === 'schedule') && mirror.errorKind === null;
  if (quiet && movedRefs(wanted, last).length === 0) return nothing;
  return await withRemote(
    forge,
    remoteOf(forge, mirror),
    async (git) => {
      const pushed = await pushRefs(git, {
        folder: cache.folder,
        wanted: byRef,
        last: new Map(last.map((one) => [one.ref, one.git])),
        policy: mirror.onDivergence,
        main: `refs/heads/${mirror.main}`,
      });
      const now = knownRefs(pushed.last, wanted, last);
      setPushedRefs(store, mirror.id, now);
      const refs = movedThere(now, last, pushed.overwritten);
      const gone = lookForGone(forge, mirror, last, byRef, cache.commits);
      return {
        refs,
        // What was pushed until it was ended is told all the same.
        commits: signal?.aborted
          ? 0
          : await newCommits(
              git,
              cache.folder,
              refs,
              last.map((one) => one.git),
            ),
        bytes: pushed.bytes,
        compared: true,
        rewound: gone.rewound,
        lost: gone.lost
          .filter(({ ref }) => refs.some((moved) => moved.ref === ref))
          .map(({ ref, git }) => `${ref.replace(/^refs\/(heads|tags)\//, '')} was ${git} there`),
        overwrote: pushed.overwritten.map(describeDivergence),
        error: pushed.error,
      };
    },
    { signal },
  );
}

const nothing: Brought = {
  refs: [],
  commits: 0,
  bytes: 0,
  compared: false,
  rewound: undefined,
  lost: [],
  overwrote: [],
  error: undefined,
};

/** What a remote has, with what its refs are in Fossil. */
function knownRefs(
  there: ReadonlyMap<string, string>,
  wanted: readonly WantedRef[],
  last: readonly PushedRef[],
): PushedRef[] {
  const known = [
    ...last,
    ...wanted.map(({ ref, git, fossil, name, renamed }) => ({
      ref,
      git,
      fossil,
      name: renamed ? name : null,
    })),
  ];
  const keyOf = ({ ref, git }: Pick<PushedRef, 'ref' | 'git'>) => `${ref} ${git}`;
  const byKey = new Map(known.map((one) => [keyOf(one), one]));
  return [...there].flatMap(([ref, git]) => byKey.get(keyOf({ ref, git })) ?? []);
}

/** How many commits a remote does not have. @param last what its refs lead to */
export async function newCommits(
  git: Pick<RemoteGit, 'local'>,
  folder: string,
  refs: readonly MovedRef[],
  last: readonly string[],
): Promise<number> {
  const tips = refs.flatMap(({ to }) => to ?? []);
  if (tips.length === 0) return 0;
  const { stdout } = await git.local(gitBeyond(folder, tips, [...new Set(last)]));
  return stdout.split('\n').filter((line) => line !== '').length;
}

import type { Forge } from '../forge.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import type { MovedRef } from '../store/sync-runs.ts';
import { newCommits } from './bring.ts';
import { remoteOf } from './credential.ts';
import { type WantedRef, wantedOf } from './difference.ts';
import { type Divergence, planPush } from './remote/plan-push.ts';
import { probeRemote } from './remote/probe.ts';
import { type RemoteGit, withRemote } from './remote/remote.ts';
import { exported, type SyncOptions } from './sync.ts';

/** What a push to a mirror would do. */
export type Trial = {
  /** The refs that would move there. */
  refs: MovedRef[];
  /** How many commits it does not have. */
  commits: number;
  /** What somebody else pushed there under the names of ours. */
  diverged: readonly Divergence[];
  /** Refs that have another name there than in Fossil. */
  renamed: WantedRef[];
};

/** How long another fossilrepo may be at work on the same. Milliseconds. */
const patience = 60_000;

/** Tries a mirror, without changing anything there: reachable, credential, may push, and what that would do. @throws RemoteError */
export async function tryMirror(
  forge: Forge,
  row: Repository,
  mirror: Mirror,
  options: SyncOptions = {},
): Promise<Trial> {
  const remote = remoteOf(forge, mirror);
  return await withRemote(
    forge,
    remote,
    async (git) => {
      // Before a long export: an address with a mistake in it shows at once.
      const probe = await probeRemote(git);
      if (probe.refused) throw probe.refused;
      return await trialOf(forge, row, mirror, git, options);
    },
    { signal: options.signal },
  );
}

async function trialOf(
  forge: Forge,
  row: Repository,
  mirror: Mirror,
  git: RemoteGit,
  options: SyncOptions,
): Promise<Trial> {
  const cache = await exported(forge, row, options, patience);
  const wanted = wantedOf(mirror, cache);
  const last = new Map(pushedRefs(forge.store, mirror.id).map((one) => [one.ref, one.git]));
  const plan = await planPush(git, {
    folder: cache.folder,
    wanted: new Map(wanted.map((one) => [one.ref, one.git])),
    last,
    policy: mirror.onDivergence,
    main: `refs/heads/${mirror.main}`,
  });
  const refs = plan.updates.map(({ ref, to, expected }) => ({ ref, from: expected ?? null, to: to ?? null }));
  const there = plan.standings.flatMap((standing) => standing.there ?? []);
  return {
    refs,
    commits: await newCommits(git, cache.folder, refs, there),
    diverged: plan.diverged,
    renamed: wanted.filter(({ renamed }) => renamed),
  };
}

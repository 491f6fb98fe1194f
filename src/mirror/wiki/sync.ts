import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { gitCloneEmpty, gitReadHead } from '../../programs/git.ts';
import { mirrorHost } from '../../store/mirror-hosts.ts';
import { mirrorPart, updateMirrorPart, type WikiPlace } from '../../store/mirror-parts.ts';
import { pushedRefs } from '../../store/mirror-refs.ts';
import type { Mirror } from '../../store/mirrors.ts';
import type { MovedRef } from '../../store/sync-runs.ts';
import { newCommits } from '../bring.ts';
import { remoteOf } from '../credential.ts';
import { movedThere } from '../difference.ts';
import type { HostKind } from '../host-kinds.ts';
import type { RemoteError } from '../remote/error.ts';
import { applyPush, type PushResult } from '../remote/push.ts';
import { describeDivergence, type Divergence, planPush } from '../remote/plan-push.ts';
import { listRemote, type RemoteGit, withRemote } from '../remote/remote.ts';
import type { Refs } from '../remote/standing.ts';
import type { ExportedWiki } from './export.ts';

/** The branch beside the code. */
export const wikiBranch = 'refs/heads/fossil-wiki';

/** What was done about a mirror's wiki. */
export type WikiDone = {
  /** How many pages there are. */
  count: number;
  /** The ref that was moved there, if it was. */
  refs: MovedRef[];
  /** How many commits were new there. */
  commits: number;
  /** Bytes that went over. */
  bytes: number;
  /** What others had written and is gone there now, in words. */
  overwrote: readonly string[];
  error: RemoteError | undefined;
};

/** Where a mirror's wiki goes. */
export const wikiPlace = ({ store }: Pick<Forge, 'store'>, mirror: Pick<Mirror, 'id'>): WikiPlace =>
  mirrorPart(store, mirror.id, 'wiki').place ?? (mirrorHost(store, mirror.id) ? 'repository' : 'branch');

/** The Git repository that hosts keep a project's wiki in. */
export const wikiUrl = (url: string): string => url.replace(/\/+$/, '').replace(/(\.git)?$/, '.wiki.git');

/** Which branch hosts show of a wiki that is empty yet, where it doesn't say so itself. */
const firstBranch: Readonly<Record<HostKind, string>> = { github: 'master', gitlab: 'main', gitea: 'master' };

/**
 * Brings a wiki to a mirror. Like code, it is pushed only over what was pushed before; what people wrote there is treated as the mirror's
 * policy says.
 * @throws RemoteError, OperatorError when it could not even be looked
 */
export async function syncWiki(
  forge: Forge,
  mirror: Mirror,
  wiki: ExportedWiki,
  { compare, signal }: { compare: boolean; signal?: AbortSignal | undefined },
): Promise<WikiDone> {
  const { store } = forge;
  const part = mirrorPart(store, mirror.id, 'wiki');
  const nothing: WikiDone = {
    ...{ count: wiki.pages, refs: [], commits: 0, bytes: 0, overwrote: [], error: undefined },
  };
  if (part.git === (wiki.commit ?? null) && !compare) return nothing;
  const place = wikiPlace(forge, mirror);
  const code = pushedRefs(store, mirror.id);
  if (place === 'branch' && code.some(({ ref }) => ref === wikiBranch))
    throw new OperatorError('The repository has a branch fossil-wiki itself.', {
      next: 'Bring the wiki to its own repository (--wiki repository), or rename the branch.',
    });
  const remote = remoteOf(forge, mirror);
  return await withRemote(
    forge,
    place === 'branch' ? remote : { ...remote, url: wikiUrl(remote.url) },
    async (git) => {
      const kind = mirrorHost(store, mirror.id)?.kind;
      const ref = place === 'branch' ? wikiBranch : (part.ref ?? (await servedBranch(git, kind)));
      const request = {
        folder: wiki.folder,
        wanted: new Map(wiki.commit === undefined ? [] : [[ref, wiki.commit]]),
        last: new Map(part.git === null || part.ref !== ref ? [] : [[ref, part.git]]),
        policy: mirror.onDivergence,
        main: ref,
      };
      if (wiki.commit === undefined && request.last.size === 0) return nothing;
      let plan = await planPush(git, request);
      if (kind === 'github' && place === 'repository' && part.git === null && isFirstPage(plan.diverged))
        plan = await planPush(git, { ...request, policy: 'overwrite' });
      const result: PushResult = await applyPush(git, request, plan);
      updateMirrorPart(store, mirror.id, 'wiki', { ref, git: result.last.get(ref) ?? null });
      const refs = movedThere(listed(result.last), listed(request.last), result.overwritten);
      const commits = await newCommits(git, wiki.folder, refs, [...request.last.values()]);
      const { bytes, error } = result;
      return {
        ...nothing,
        refs,
        commits,
        bytes,
        overwrote: result.overwritten.map(describeDivergence),
        error,
      };
    },
    { signal },
  );
}

const listed = (refs: Refs) => [...refs].map(([ref, git]) => ({ ref, git }));

/** GitHub has no wiki repository before somebody wrote a first page by hand; that one commit may go. */
const isFirstPage = (diverged: readonly Divergence[]): boolean =>
  diverged.length === 1 &&
  diverged.every(({ commits, more, unread }) => commits.length === 1 && !more && unread === undefined);

/** The branch that a wiki has already, or that its host waits for: what that is called is a setting at some, as at Gitea since 1.22. */
async function servedBranch(git: RemoteGit, kind: HostKind | undefined): Promise<string> {
  const usual = kind === undefined ? 'main' : firstBranch[kind];
  const refs = [...(await listRemote(git)).keys()];
  if (refs.length === 0) {
    const copy = join(git.folder, 'wiki.git');
    await git.run(gitCloneEmpty(git.address.url, copy, usual), 'ask');
    return (await git.local(gitReadHead(copy))).stdout.trim();
  }
  const [only, ...others] = refs.filter((ref) => ref.startsWith('refs/heads/'));
  return only !== undefined && others.length === 0 ? only : `refs/heads/${usual}`;
}

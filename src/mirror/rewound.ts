import type { Forge } from '../forge.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { PushedRef } from '../store/mirror-refs.ts';
import { restoresOf } from '../store/restores.ts';

/** A restore that took away what had been pushed: when it was, and the instant whose state it brought back. Milliseconds since 1970. */
export type Rewound = { at: number; to: number };

/** What was pushed and is not wanted any more since Fossil has it no longer. */
export type Gone = {
  /** The restore that explains it. */
  rewound: Rewound | undefined;
  /** Branches and tags whose check-in is gone without a restore: shunned, or in a file that is no longer the repository's. */
  lost: readonly PushedRef[];
};

/**
 * Looks at what was pushed and is no longer there, as a restore to an earlier moment leaves it. One that ended before the mirror's last
 * success had nothing to do with it; one that is at work yet may have exchanged the file already.
 * @param mirror as it was before this push @param last what was pushed before @param wanted what is to be there, by ref
 * @param commits the check-ins that there are
 */
export function lookForGone(
  { store }: Pick<Forge, 'store'>,
  mirror: Pick<Mirror, 'repository' | 'okAt' | 'createdAt'>,
  last: readonly PushedRef[],
  wanted: ReadonlyMap<string, string>,
  commits: Pick<ReadonlyMap<string, string>, 'has'>,
): Gone {
  const lost = last.filter(({ fossil }) => !commits.has(fossil));
  // A tag that only then was made or moved there: its check-in stays.
  const isBack = ({ ref, git }: PushedRef) =>
    ref.startsWith('refs/tags/') ? wanted.get(ref) !== git : !wanted.has(ref);
  if (lost.length === 0 && !last.some(isBack)) return { rewound: undefined, lost };
  const done = restoresOf(store, mirror.repository).filter(({ outcome }) => outcome !== 'not done');
  const restore = done.sort((one, other) => one.begunAt - other.begunAt).at(-1);
  const endedAt = restore?.endedAt ?? Date.now();
  if (restore === undefined || endedAt <= (mirror.okAt ?? mirror.createdAt))
    return { rewound: undefined, lost };
  return { rewound: { at: endedAt, to: restore.at }, lost: [] };
}

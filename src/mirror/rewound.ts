import type { Forge } from '../forge.ts';
import type { Mirror } from '../store/mirrors.ts';
import { lastDoneRestore } from '../store/restores.ts';

/** A restore that took away what had been pushed: when it was, and the instant whose state it brought back. Milliseconds since 1970. */
export type Rewound = { at: number; to: number };

/**
 * Check-ins that were pushed and are no longer there are what a restore to an earlier moment leaves. One that ended before the mirror's last
 * success had nothing to do with it: then somebody took them away in another way.
 * @param mirror as it was before this push @param last what was pushed before @param commits the check-ins that there are
 */
export function rewoundBy(
  { store }: Pick<Forge, 'store'>,
  mirror: Pick<Mirror, 'repository' | 'okAt' | 'createdAt'>,
  last: readonly { fossil: string }[],
  commits: Pick<ReadonlyMap<string, string>, 'has'>,
): Rewound | undefined {
  if (last.every(({ fossil }) => commits.has(fossil))) return undefined;
  const restore = lastDoneRestore(store, mirror.repository);
  const endedAt = restore?.endedAt ?? 0;
  if (restore === undefined || endedAt <= (mirror.okAt ?? mirror.createdAt)) return undefined;
  return { at: endedAt, to: restore.at };
}

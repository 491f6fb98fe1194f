import type { MirrorRef } from '../export/refs.ts';

/**
 * Compares a mirror's refs with those that it has to have.
 * @param commits Git's hash of each check-in, by Fossil's
 * @param there the refs that the mirror has
 * @param foreign refs that others made and that may stay
 * @returns one sentence for each difference
 */
export function compareRefs(
  wanted: readonly MirrorRef[],
  commits: ReadonlyMap<string, string>,
  there: ReadonlyMap<string, string>,
  foreign: (ref: string) => boolean = () => false,
): string[] {
  const expected = new Map(wanted.map(({ ref, fossil }) => [ref, commits.get(fossil)]));
  const differing = [...expected].flatMap(([ref, commit]) => {
    const found = there.get(ref);
    if (found === undefined) return [`${ref} is not there`];
    return found === commit
      ? []
      : [`${ref} is ${found} and has to be ${commit ?? 'a commit that is not there'}`];
  });
  const more = [...there.keys()].filter((ref) => !expected.has(ref) && !foreign(ref));
  return [...differing, ...more.map((ref) => `${ref} is there and has no branch or tag in Fossil`)];
}

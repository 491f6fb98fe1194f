import type { RefUpdate } from '../../programs/git.ts';

/** Refs and what they point at. */
export type Refs = ReadonlyMap<string, string>;

/** What is done about a ref that the remote has otherwise than we left it. */
export type Policy = 'refuse' | 'overwrite' | 'keep';

/**
 * One ref of ours: what the remote has and what is wanted there; undefined is nothing. `same`: both are equal. `ours`: the remote has what we
 * pushed last, or nothing, so that nobody's work is lost. `unknown`: it has something else.
 */
export type Standing = {
  ref: string;
  there: string | undefined;
  wanted: string | undefined;
  last: string | undefined;
  state: 'same' | 'ours' | 'unknown';
};

/** Only branches and tags are mirrored; a remote's other refs (pull requests, notes) are its own. */
const ourFolders = /^refs\/(heads|tags)\/./;

/** How each ref stands that is wanted or was pushed by us. Other refs of the remote don't come up. */
export function standings(sides: { there: Refs; wanted: Refs; last: Refs }): Standing[] {
  const names = new Set([...sides.wanted.keys(), ...sides.last.keys()]);
  const strange = [...names].find((ref) => !ourFolders.test(ref));
  if (strange !== undefined) throw new Error(`${strange} is neither a branch nor a tag`);
  return [...names].sort().map((ref) => {
    const [there, wanted, last] = [sides.there.get(ref), sides.wanted.get(ref), sides.last.get(ref)];
    const state = there === wanted ? 'same' : there === undefined || there === last ? 'ours' : 'unknown';
    return { ref, there, wanted, last, state };
  });
}

/** The change that brings a ref to what is wanted, only if the remote still has what was seen. */
export const updateOf = ({ ref, there, wanted }: Standing): RefUpdate => ({
  ref,
  to: wanted,
  expected: there,
});

/** More than this many bytes of refs don't go into one command line: Linux takes 2 MiB with the environment (execve(2)). */
const longest = 256 * 1024;

/**
 * Orders changes into pushes. The first push into an empty remote is the main branch alone: hosts make the first branch that they see the
 * default one. What is deleted goes first where it stands in the way of a new name, as `a` does for `a/b`.
 * @param options.first the main branch, when the remote is empty @param options.length bytes that a change takes in a command line
 */
export function batches(
  updates: readonly RefUpdate[],
  options: { first: string | undefined; length: (update: RefUpdate) => number },
): RefUpdate[][] {
  const made = updates.filter(({ to, expected }) => to !== undefined && expected === undefined);
  const gone = new Set(updates.filter(({ to }) => to === undefined).map(({ ref }) => ref));
  const makers = new Set(made.flatMap(({ ref }) => [ref, ...parents(ref)]));
  const blocking = (ref: string): boolean =>
    gone.has(ref) &&
    (makers.has(ref) || parents(ref).some((parent) => made.some((update) => update.ref === parent)));
  const ahead = updates.filter(({ ref }) => blocking(ref));
  const first = updates.filter(({ ref }) => ref === options.first && !blocking(ref));
  const rest = updates.filter(({ ref }) => ref !== options.first && !blocking(ref));
  return [...cut(ahead, options.length), ...cut(first, options.length), ...cut(rest, options.length)];
}

/** The names above one: `refs/heads/a` for `refs/heads/a/b`. */
const parents = (ref: string): string[] =>
  ref
    .split('/')
    .slice(3)
    .map((_, index) =>
      ref
        .split('/')
        .slice(0, 3 + index)
        .join('/'),
    );

function cut(updates: readonly RefUpdate[], length: (update: RefUpdate) => number): RefUpdate[][] {
  const cuts: RefUpdate[][] = [];
  let room = 0;
  for (const update of updates) {
    const size = length(update);
    const current = cuts.at(-1);
    if (current && size <= room) current.push(update);
    else {
      cuts.push([update]);
      room = longest;
    }
    room -= size;
  }
  return cuts;
}

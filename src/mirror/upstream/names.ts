import { createHash } from 'node:crypto';

/** How Fossil calls the branches and tags of a remote. Keys are Git's refs. */
export type FossilNames = { branches: ReadonlyMap<string, string>; tags: ReadonlyMap<string, string> };

/** Fossil's own name of the main branch. */
export const trunk = 'trunk';

const heads = 'refs/heads/';
const tagged = 'refs/tags/';

/**
 * The names under which refs go to Fossil: the main branch is `trunk`, all others are called as they are. Fossil has one room for branches
 * and tags, so a branch that is called `trunk` beside the main one, or a tag that is called as a branch, gets a piece of a hash behind it.
 * @param main without `refs/heads/`
 */
export function fossilNames(refs: Iterable<string>, main: string): FossilNames {
  const all = [...refs];
  const branches = new Map(
    all
      .filter((ref) => ref.startsWith(heads))
      .map((ref): [string, string] => {
        const name = ref.slice(heads.length);
        return [ref, name === main ? trunk : name === trunk ? apart(name) : name];
      }),
  );
  const taken = new Set([trunk, ...branches.values()]);
  const tags = new Map(
    all
      .filter((ref) => ref.startsWith(tagged))
      .map((ref): [string, string] => {
        const name = ref.slice(tagged.length);
        return [ref, taken.has(name) ? apart(name) : name];
      }),
  );
  return { branches, tags };
}

const apart = (name: string): string =>
  `${name}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;

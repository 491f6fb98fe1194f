import { trunk } from './names.ts';

/** New commits, children before parents, each with its parents. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** A branch or tag of the remote, by its name in Fossil, and the commit that it leads to. */
export type Tip = { name: string; commit: string };

/**
 * Says on which branch each new commit is, which Git doesn't: the main branch goes back along first parents as far as it can, then each
 * other branch by name; what was only merged is on the branch that it was merged into. A commit that only a tag leads to gets a branch
 * of its own, so that it is not taken for the newest of another.
 */
export function assignBranches(
  graph: Graph,
  branches: readonly Tip[],
  tags: readonly Tip[],
): Map<string, string> {
  const assigned = new Map<string, string>();
  const alongFirst = ({ name, commit }: Tip): void => {
    for (
      let next: string | undefined = commit;
      next !== undefined && graph.has(next) && !assigned.has(next);
    ) {
      assigned.set(next, name);
      next = graph.get(next)?.[0];
    }
  };
  const down = (): void => {
    for (const [commit, parents] of graph) {
      const name = assigned.get(commit);
      if (name === undefined) continue;
      for (const parent of parents)
        if (graph.has(parent) && !assigned.has(parent)) assigned.set(parent, name);
    }
  };
  for (const tip of inOrder(branches)) alongFirst(tip);
  down();
  for (const tag of inOrder(tags)) alongFirst({ ...tag, name: `tag/${tag.name}` });
  down();
  return assigned;
}

const inOrder = (tips: readonly Tip[]): Tip[] =>
  [...tips].sort((one, other) =>
    one.name === trunk ? -1 : other.name === trunk ? 1 : one.name < other.name ? -1 : 1,
  );

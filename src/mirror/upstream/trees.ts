import type { PathChange } from './export-stream.ts';
import type { Graph } from './assign.ts';
import type { TreeFile } from './write-artifact.ts';

/** The files of a check-in by name. */
export type Tree = Map<string, TreeFile>;

/** The trees of commits while their children are written; each is forgotten, or becomes its child's, as soon as it can. */
export type Trees = {
  /** Changes the tree of a commit's first parent into its own. @returns it, in the order of the names' bytes */
  next: (commit: string, changes: readonly PathChange[]) => [string, TreeFile][];
};

/**
 * @param known the tree of a commit that was imported before @param blobOf the artifact of a mark
 * @throws Error for a mark that stands for nothing
 */
export function trees(
  graph: Graph,
  known: (commit: string) => Tree,
  blobOf: (mark: number) => string | undefined,
): Trees {
  const held = new Map<string, Tree>();
  const waiting = new Map<string, number>();
  for (const [first] of graph.values())
    if (first !== undefined) waiting.set(first, (waiting.get(first) ?? 0) + 1);

  const inherited = (commit: string): Tree => {
    const [first] = graph.get(commit) ?? [];
    if (first === undefined) return new Map();
    const left = (waiting.get(first) ?? 1) - 1;
    waiting.set(first, left);
    const tree = held.get(first) ?? known(first);
    if (left === 0) {
      held.delete(first);
      return tree;
    }
    held.set(first, tree);
    return new Map(tree);
  };

  return {
    next: (commit, changes) => {
      const tree = inherited(commit);
      // What goes has to go first: git tells it after the files of a folder that takes its place, and of another repository nothing is here
      // that could go instead of them. No path is told twice, and without -M and -C no rename or copy, for which the order would matter.
      for (const { path, to } of changes) if (to === undefined) remove(tree, path);
      for (const { path, to } of changes) {
        if (to === undefined) continue;
        const hash = blobOf(to.mark);
        if (hash === undefined) throw new Error(`git fast-export does not say what ${path} is`);
        tree.set(path, { hash, flag: flagOf(to.mode) });
      }
      if ((waiting.get(commit) ?? 0) > 0) held.set(commit, tree);
      return [...tree].sort(([one], [other]) => (one < other ? -1 : 1));
    },
  };
}

/** What is deleted may have been a folder. */
function remove(tree: Tree, path: string): void {
  if (tree.delete(path)) return;
  for (const name of tree.keys()) if (name.startsWith(`${path}/`)) tree.delete(name);
}

const flagOf = (mode: string): TreeFile['flag'] =>
  mode === '120000' ? ' l' : mode.endsWith('755') ? ' x' : '';

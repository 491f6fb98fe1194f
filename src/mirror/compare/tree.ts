import { createHash } from 'node:crypto';

/** A file in a tree: its path (bytes, each a character), its mode, its Git hash. */
export type TreeFile = { path: string; mode: string; git: string };

type Folder = Map<string, Folder | { mode: string; git: string }>;

/**
 * The hashes that Git gives a tree and the trees in it (doc "git hash-object"; entries are sorted as if folders' names ended in a slash).
 * @returns the whole tree's own one last
 */
export function treeHashes(files: Iterable<TreeFile>): string[] {
  const root: Folder = new Map();
  for (const { path, mode, git } of files) {
    const names = path.split('/');
    const last = names.pop() ?? '';
    let folder = root;
    for (const name of names) {
      const there = folder.get(name);
      if (there instanceof Map) folder = there;
      else {
        const made: Folder = new Map();
        folder.set(name, made);
        folder = made;
      }
    }
    folder.set(last, { mode, git });
  }
  const hashes: string[] = [];
  hashFolder(root, hashes);
  return hashes;
}

function hashFolder(folder: Folder, hashes: string[]): string {
  const entries = [...folder]
    .map(([name, entry]) =>
      entry instanceof Map
        ? { key: `${name}/`, name, mode: '40000', git: hashFolder(entry, hashes) }
        : { key: name, name, ...entry },
    )
    .sort((one, other) => (one.key < other.key ? -1 : 1));
  const content = Buffer.concat(
    entries.flatMap(({ name, mode, git }) => [
      Buffer.from(`${mode} ${name}\0`, 'latin1'),
      Buffer.from(git, 'hex'),
    ]),
  );
  const hash = createHash('sha1').update(`tree ${content.length}\0`).update(content).digest('hex');
  hashes.push(hash);
  return hash;
}

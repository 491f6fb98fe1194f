import { createHash } from 'node:crypto';
import { OperatorError } from '../../errors.ts';

/** What a Git repository says about itself, each object compared with its name. */
export type GitObjects = {
  commits: Map<string, GitCommit>;
  trees: Set<string>;
  /** Git's hash of each file, by every hash that Fossil can have given it. */
  files: Map<string, string>;
  /** Objects that are not there, or have other content than their name says. */
  damaged: string[];
};

export type GitCommit = {
  tree: string;
  parents: readonly string[];
  /** Seconds since 1970. */
  at: number;
  /** The text before the trailer: bytes, each a character. */
  text: string;
  /** The check-in that its trailer names, or undefined. */
  origin: string | undefined;
};

/** Commits and trees are held whole. Bytes. */
const longest = 64 * 1024 * 1024;

/**
 * Reads what `git cat-file --batch` writes. Files may have any size: they are only hashed.
 * @throws OperatorError when the stream ends before its end
 */
export async function readObjects(stream: AsyncIterable<Buffer>): Promise<GitObjects> {
  const found: GitObjects = { commits: new Map(), trees: new Set(), files: new Map(), damaged: [] };
  let held: Buffer = Buffer.alloc(0);
  let open: Open | undefined;
  for await (const piece of stream) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    while (held.length > 0) {
      if (open === undefined) {
        const end = held.indexOf(0x0a);
        if (end < 0) break;
        open = begin(held.subarray(0, end).toString('latin1'), found);
        held = held.subarray(end + 1);
        continue;
      }
      const content = held.subarray(0, open.left);
      for (const hash of open.hashes) hash.update(content);
      if (open.type !== 'blob') open.content.push(content);
      open.left -= content.length;
      held = held.subarray(content.length);
      if (open.left > 0 || held.length === 0) break;
      held = held.subarray(1);
      finish(open, found);
      open = undefined;
    }
  }
  if (open !== undefined || held.length > 0) throw new OperatorError('git cat-file was cut short.');
  return found;
}

type Open = ReturnType<typeof opened>;

function begin(line: string, found: GitObjects): Open | undefined {
  const [, hash = '', type = '', size = ''] = /^([0-9a-f]{40}) (\w+)(?: (\d+))?$/.exec(line) ?? [];
  if (type === 'missing' || size === '') {
    found.damaged.push(hash || line);
    return undefined;
  }
  return opened(hash, type, Number(size));
}

function opened(hash: string, type: string, size: number) {
  if (type !== 'blob' && size > longest) throw new OperatorError(`Git's object ${hash} is too large.`);
  const own = createHash('sha1').update(`${type} ${size}\0`);
  const fossils = type === 'blob' ? [createHash('sha1'), createHash('sha3-256')] : [];
  return { hash, type, left: size, hashes: [own, ...fossils], content: [] as Buffer[] };
}

function finish({ hash, type, hashes, content }: Open, found: GitObjects): void {
  const [own, ...fossils] = hashes.map((one) => one.digest('hex'));
  if (own !== hash) found.damaged.push(hash);
  else if (type === 'blob') for (const fossil of fossils) found.files.set(fossil, hash);
  else if (type === 'tree') found.trees.add(hash);
  else if (type === 'commit') found.commits.set(hash, readCommit(Buffer.concat(content).toString('latin1')));
}

function readCommit(content: string): GitCommit {
  const end = content.indexOf('\n\n');
  const head = content.slice(0, end).split('\n');
  const values = (key: string) =>
    head.flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1)] : []));
  const [, text = content.slice(end + 2), origin] =
    /^([^]*)\n\nFossilOrigin-Name: ([0-9a-f]{40,64})\s*$/.exec(content.slice(end + 2)) ?? [];
  return {
    tree: values('tree')[0] ?? '',
    parents: values('parent'),
    at: Number(/ (\d+) \+0000$/.exec(values('committer')[0] ?? '')?.[1]),
    text,
    origin,
  };
}

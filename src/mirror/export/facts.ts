import type { DatabaseSync } from 'node:sqlite';
import type { History } from './history.ts';

/** The newest check-in of a line of a branch. */
export type Leaf = { hash: string; closed: boolean };

/** What a repository's branches and tags are, of the check-ins that are exported. */
export type RefFacts = {
  /** Fossil's main branch, which others have renamed or not: `trunk`. */
  main: string;
  /** The one that is there for longest first. Each with its leaves: open ones first, of these the newest. */
  branches: readonly { name: string; leaves: readonly [Leaf, ...Leaf[]] }[];
  /** The one that is there for longest first. */
  tags: readonly { name: string; hash: string }[];
  /** The exported parents of every exported check-in. */
  parents: ReadonlyMap<string, readonly string[]>;
  /** Check-ins, by hash, that are not exported yet, since something that they consist of has not been received. */
  waiting: ReadonlySet<string>;
};

/**
 * Reads branches and tags, in the transaction that the history was read in.
 * @param database has the repository attached as `live`
 */
export function readRefFacts(database: DatabaseSync, history: History): RefFacts {
  const main = database.prepare("SELECT value FROM live.config WHERE name = 'main-branch'").get()?.['value'];
  const trunk = typeof main === 'string' && main !== '' ? main : 'trunk';
  return {
    main: trunk,
    branches: readBranches(database, history, trunk),
    tags: readTags(database, history),
    parents: new Map([...history.checkins.values()].map(({ hash, parents }) => [hash, parents])),
    waiting: history.waiting,
  };
}

/** The values of a propagating tag (`branch`, `closed`), by check-in. */
function tagged(database: DatabaseSync, tag: string): Map<number, string> {
  const rows = database
    .prepare(
      `SELECT x.rid, x.value FROM live.tagxref x JOIN live.tag t USING (tagid) WHERE t.tagname = ? AND x.tagtype > 0`,
    )
    .all(tag);
  return new Map(
    rows.map((row) => [Number(row['rid']), typeof row['value'] === 'string' ? row['value'] : '']),
  );
}

function readBranches(database: DatabaseSync, { checkins }: History, trunk: string): RefFacts['branches'] {
  const branches = tagged(database, 'branch');
  const closed = tagged(database, 'closed');
  const branchOf = (hash: string) => branches.get(checkins.get(hash)?.rid ?? 0) || trunk;
  const continued = new Set<string>();
  const found = new Map<string, { since: number; leaves: { hash: string; at: number; closed: boolean }[] }>();
  for (const { hash, parents } of checkins.values())
    for (const parent of parents) if (branchOf(parent) === branchOf(hash)) continued.add(parent);
  for (const { hash, rid, at } of checkins.values()) {
    const name = branchOf(hash);
    const branch = found.get(name) ?? { since: at, leaves: [] };
    found.set(name, branch);
    branch.since = Math.min(branch.since, at);
    if (!continued.has(hash)) branch.leaves.push({ hash, at, closed: closed.has(rid) });
  }
  return [...found]
    .sort(([name, { since }], [other, { since: otherSince }]) => since - otherSince || compare(name, other))
    .flatMap(([name, { leaves }]) => {
      leaves.sort(
        (one, other) =>
          Number(one.closed) - Number(other.closed) || other.at - one.at || compare(one.hash, other.hash),
      );
      const [first, ...rest] = leaves.map(({ hash, closed }) => ({ hash, closed }));
      return first === undefined ? [] : [{ name, leaves: [first, ...rest] as const }];
    });
}

/** Names that were given to one check-in each; a name that was given again belongs to the last. */
function readTags(database: DatabaseSync, { checkins }: History): RefFacts['tags'] {
  const hashes = new Map([...checkins.values()].map(({ rid, hash }) => [rid, hash]));
  const rows = database
    .prepare(
      `SELECT substr(t.tagname, 5) AS name, x.rid FROM live.tagxref x JOIN live.tag t USING (tagid)
       WHERE x.tagtype = 1 AND t.tagname GLOB 'sym-*' ORDER BY x.mtime, x.rid`,
    )
    .all();
  const tags = new Map<string, string>();
  for (const row of rows) {
    const hash = hashes.get(Number(row['rid']));
    if (hash !== undefined) tags.set(String(row['name']), hash);
  }
  return [...tags].map(([name, hash]) => ({ name, hash }));
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

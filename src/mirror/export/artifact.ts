import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { OperatorError } from '../../errors.ts';
import { decompress, hashLike } from '../../repos/content.ts';
import { applyDelta } from '../../repos/delta.ts';

type Stored = { rid: number; hash: string; size: number; content: Uint8Array };

/** How much of what was read is kept for what is a difference from it. Bytes. */
const kept = 64 * 1024 * 1024;

/**
 * Reads one artifact, and compares it with its hash.
 * @param database a repository, or one to which it is attached
 * @throws OperatorError (check) when it isn't there or is damaged
 */
export const readArtifact = (database: DatabaseSync, rid: number): Buffer => artifactReader(database)(rid);

/**
 * Reads artifacts like `readArtifact`, and goes on from what it has read before: a chain of differences can be thousands long. It is fast in
 * the order of `byChains`.
 */
export function artifactReader(database: DatabaseSync): (rid: number) => Buffer {
  const statement = database.prepare(
    'SELECT uuid, size, content, srcid FROM blob LEFT JOIN delta USING (rid) WHERE rid = ? AND size >= 0',
  );
  const known = new LRUCache<number, Buffer>({
    maxSize: kept,
    sizeCalculation: ({ length }) => length + 1,
  });
  return (rid) => {
    const chain: Stored[] = [];
    const seen = new Set<number>();
    let content: Buffer | undefined;
    for (let next: number | undefined = rid; next !== undefined && content === undefined;) {
      const row: Record<string, unknown> | undefined = statement.get(next);
      if (!(row?.['content'] instanceof Uint8Array) || seen.has(next))
        throw damaged(chain[0]?.hash ?? `${rid}`);
      seen.add(next);
      chain.push({
        rid: next,
        hash: String(row['uuid']),
        size: Number(row['size']),
        content: row['content'],
      });
      next = typeof row['srcid'] === 'number' ? row['srcid'] : undefined;
      content = next === undefined ? undefined : known.get(next);
    }
    const [wanted] = chain;
    if (wanted === undefined) throw damaged(`${rid}`);
    try {
      for (const stored of chain.reverse()) {
        const plain = decompress(stored.content);
        content = content === undefined ? plain : applyDelta(content, plain, stored.size);
        known.set(stored.rid, content);
      }
    } catch (error) {
      throw damaged(wanted.hash, error);
    }
    if (content === undefined || hashLike(wanted.hash, content) !== wanted.hash) throw damaged(wanted.hash);
    return content;
  };
}

/** Sorts artifacts so that each comes soon after the one that it is a difference from. */
export function byChains(database: DatabaseSync, rids: Iterable<number>): number[] {
  const rows = database.prepare('SELECT rid, srcid FROM delta').all();
  const differences = new Set(rows.map(({ rid }) => Number(rid)));
  const madeOf = Map.groupBy(rows, ({ srcid }) => Number(srcid));
  const wanted = new Set(rids);
  const sorted = new Set<number>();
  const open = [...wanted, ...madeOf.keys()].filter((rid) => !differences.has(rid));
  for (let rid = open.pop(); rid !== undefined; rid = open.pop()) {
    if (wanted.has(rid)) sorted.add(rid);
    for (const next of madeOf.get(rid) ?? []) open.push(Number(next['rid']));
  }
  // Those that lead nowhere are damaged, which whoever reads them says.
  return [...sorted.union(wanted)];
}

const damaged = (hash: string, cause?: unknown): OperatorError =>
  new OperatorError(`The artifact ${hash} is damaged.`, {
    next: 'fossilrepo repo verify says what else is; restore the repository from the replica.',
    exit: 'check',
    cause,
  });

import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../../errors.ts';
import { decompress, hashLike } from '../../repos/content.ts';
import { applyDelta } from '../../repos/delta.ts';

type Stored = { hash: string; size: number; content: Uint8Array; source: number | undefined };

/**
 * Reads one artifact, and compares it with its hash.
 * @param database a repository, or one to which it is attached
 * @throws OperatorError (check) when it isn't there or is damaged
 */
export function readArtifact(database: DatabaseSync, rid: number): Buffer {
  const statement = database.prepare(
    'SELECT uuid, size, content, srcid FROM blob LEFT JOIN delta USING (rid) WHERE rid = ? AND size >= 0',
  );
  const chain: Stored[] = [];
  const seen = new Set<number>();
  for (let next: number | undefined = rid; next !== undefined;) {
    const row: Record<string, unknown> | undefined = statement.get(next);
    if (!(row?.['content'] instanceof Uint8Array) || seen.has(next))
      throw damaged(chain[0]?.hash ?? `${rid}`);
    seen.add(next);
    const source: number | undefined = typeof row['srcid'] === 'number' ? row['srcid'] : undefined;
    chain.push({ hash: String(row['uuid']), size: Number(row['size']), content: row['content'], source });
    next = source;
  }
  const [wanted] = chain;
  if (wanted === undefined) throw damaged(`${rid}`);
  let content: Buffer | undefined;
  try {
    for (const stored of chain.reverse()) {
      const plain = decompress(stored.content);
      content = content === undefined ? plain : applyDelta(content, plain, stored.size);
    }
  } catch (error) {
    throw damaged(wanted.hash, error);
  }
  if (content === undefined || hashLike(wanted.hash, content) !== wanted.hash) throw damaged(wanted.hash);
  return content;
}

const damaged = (hash: string, cause?: unknown): OperatorError =>
  new OperatorError(`The artifact ${hash} is damaged.`, {
    next: 'fossilrepo repo verify says what else is; restore the repository from the replica.',
    exit: 'check',
    cause,
  });

import { createHash } from 'node:crypto';

/**
 * What besides a check-in itself decides its Git hash: its parents that are exported, and which of its files can be had. Nothing tells after a
 * rebuild which files were shunned, but which are there: their number, and where anything is shunned a digest of their hashes.
 */
export type OriginParts = {
  /** Its primary parent is not exported. */
  severed: boolean;
  /** Hashes. */
  parents: readonly string[];
  files: number;
  digest: string | undefined;
};

/** Comes before the digest. */
const mark = ' of ';

/** As a text that is kept. */
export const originOf = ({ severed, parents, files, digest }: OriginParts): string =>
  [severed ? 'alone' : '', ...parents, files].join(' ') + (digest === undefined ? '' : mark + digest);

/** Of files' hashes, in any order. */
export const digestOf = (hashes: readonly string[]): string =>
  createHash('sha256').update(hashes.toSorted().join(' ')).digest('hex').slice(0, 16);

/**
 * Whether a check-in that was exported may stay as it is. What was exported while nothing was shunned has no digest: all of its files were
 * there, and are there as long as their number is the same.
 */
export function isSameOrigin(known: string, now: string): boolean {
  if (known === now) return true;
  const [[before, digestBefore], [after, digestAfter]] = [known.split(mark), now.split(mark)] as const;
  return before === after && (digestBefore === undefined || digestAfter === undefined);
}

import { allKinds, artifactListing, type Kind, listing } from './kinds.ts';
import { openSnapshot } from './snapshot.ts';

/** How much of each kind a repository holds. */
export type Summary = Record<Kind | 'artifacts', number>;

/**
 * Counts what `differenceOf` compares, in one transaction.
 * @throws OperatorError when the file isn't there, is no repository, or is damaged
 */
export function summaryOf(file: string): Summary {
  using snapshot = openSnapshot(file);
  const count = (sql: string | undefined): number => {
    if (sql === undefined) return 0;
    const [row] = snapshot.rows(`SELECT count(*) AS n FROM (${sql})`);
    return Number(row?.['n']);
  };
  const counts = allKinds.map((kind) => [kind, count(listing(snapshot, kind))] as const);
  return { ...(Object.fromEntries(counts) as Record<Kind, number>), artifacts: count(artifactListing) };
}

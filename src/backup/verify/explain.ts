import type { Change, Difference } from '../../repos/contents/difference.ts';
import { allKinds, type Kind, kinds } from '../../repos/contents/kinds.ts';

/** What a repository received after the state that was fetched (`receivedAfter`). */
export type Received = { artifacts: ReadonlySet<string>; unversioned: ReadonlySet<string> };

/** What is written down with each artifact that comes, and so differs when one came. */
const follows: readonly Kind[] = [
  'checkins',
  'tickets',
  'wiki',
  'forum',
  'technotes',
  'attachments',
  'branches',
  'tags',
];

/** How many names are told of each kind. */
const named = 3;

/**
 * What a push doesn't explain in the difference between the live repository and the state that was fetched a moment before.
 * @returns a phrase for each kind; empty when the state was what the repository was then
 */
export function unexplained(
  { artifacts, kinds: changes }: Pick<Difference, 'artifacts' | 'kinds'>,
  received: Received,
): string[] {
  const missing = artifacts.lostHashes.filter((hash) => !received.artifacts.has(hash));
  const others = allKinds.flatMap((kind) => {
    const ids = idsOf(changes[kind]).filter((id) => !explains(kind, id, received));
    return ids.length === 0 ? [] : [phrase(ids.length, kinds[kind].names, ids, 'not the same')];
  });
  return [
    ...(missing.length > 0 ? [phrase(missing.length, artifactNames, missing, 'missing')] : []),
    ...(artifacts.gained > 0 ? [phrase(artifacts.gained, artifactNames, [], 'only in the replica')] : []),
    ...others,
  ];
}

const artifactNames = ['artifact', 'artifacts'] as const;

const explains = (kind: Kind, id: string, { artifacts, unversioned }: Received): boolean =>
  kind === 'unversioned' ? unversioned.has(id) : follows.includes(kind) && artifacts.size > 0;

const idsOf = ({ lost, gained, changed }: Change): string[] =>
  [lost, gained, changed].flatMap(({ items }) => items.map(({ id }) => id));

function phrase(
  count: number,
  [one, many]: readonly [string, string],
  ids: readonly string[],
  what: string,
): string {
  const list = ids.slice(0, named).join(', ');
  const names = list === '' ? '' : ` (${list}${count > named ? ' …' : ''})`;
  return `${count} ${count === 1 ? one : many}${names} ${what}`;
}

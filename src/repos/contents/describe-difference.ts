import type { Change, Difference, Listed } from './difference.ts';
import type { Item } from './item.ts';
import { allKinds, kinds } from './kinds.ts';

/** So many are named; of the others there is the number. */
export const named = 5;

/**
 * A difference for a person: a line for each kind that has one, with counts and names. Times are UTC.
 * @example check-ins  3 lost: 1a2b3c4d5e "Fix login" (ann, 2026-11-21 13:02 UTC), …
 */
export function describeDifference(difference: Difference): string {
  const lines = allKinds.flatMap((kind): [string, string][] => {
    const { lost, gained, changed } = difference.kinds[kind];
    const total = lost.count + gained.count + changed.count;
    return total === 0
      ? []
      : [[kinds[kind].names[total === 1 ? 0 : 1], describeChange({ lost, gained, changed })]];
  });
  const { lost, gained, lostPrivate, gainedShunned } = difference.artifacts;
  if (lost + gained > 0) {
    const parts = [
      lost > 0 ? `${lost} lost${lostPrivate > 0 ? ` (${lostPrivate} private)` : ''}` : '',
      gained > 0 ? `${gained} gained` : '',
      gainedShunned.length > 0 ? `${gainedShunned.length} of them shunned` : '',
    ];
    lines.push([lost + gained === 1 ? 'artifact' : 'artifacts', parts.filter(Boolean).join(', ')]);
  }
  if (lines.length === 0) return 'nothing differs';
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  return lines.map(([label, words]) => label.padEnd(width) + words).join('\n');
}

const describeChange = ({ lost, gained, changed }: Change): string =>
  [describeListed('lost', lost), describeListed('gained', gained), describeListed('changed', changed)]
    .filter(Boolean)
    .join('; ');

function describeListed(verb: string, { count, items }: Listed): string {
  if (count === 0) return '';
  const names = items.slice(0, named).map(describeItem);
  const rest = count - names.length;
  return `${count} ${verb}: ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** One item: `1a2b3c4d5e "Fix login" (ann, 2026-11-21 13:02 UTC)`. What is changed shows how, not when. */
export function describeItem({ id, title, who, at, change }: Item): string {
  const time = at === undefined ? undefined : `${minuteOf(at)} UTC`;
  const aside = (change === undefined ? [who, time] : [change]).filter((part) => part !== undefined);
  return [
    /^[0-9a-f]{40,}$/.test(id) ? id.slice(0, 10) : /[\s,;()"]/.test(id) ? `"${id}"` : id,
    ...(title === undefined ? [] : [`"${title}"`]),
    ...(aside.length === 0 ? [] : [`(${aside.join(', ')})`]),
  ].join(' ');
}

/** An item's time, to the minute and without its zone, which is UTC. */
export const minuteOf = (at: string): string => at.slice(0, -':00Z'.length).replace('T', ' ');

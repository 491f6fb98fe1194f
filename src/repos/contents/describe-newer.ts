import { describeItem, minuteOf, named } from './describe-difference.ts';
import type { Newer } from './receipts.ts';

/**
 * What was received after a moment, for a person: a line with how much, when and from whom, then what. Times are UTC.
 * @example 2 check-ins and 1 other change, received 2026-11-21 13:02 UTC from ann
 */
export function describeNewer({ checkins, other, artifacts, items, receipts }: Newer): string {
  if (receipts.length === 0) return 'nothing came since';
  const counted = [
    checkins > 0 ? plural(checkins, 'check-in', 'check-ins') : '',
    other > 0 ? plural(other, 'other change', 'other changes') : '',
  ].filter(Boolean);
  const much = counted.join(' and ') || plural(artifacts, 'artifact', 'artifacts');
  const minutes = receipts.flatMap(({ at }) => (at === undefined ? [] : [minuteOf(at)])).sort();
  const [first, last] = [minutes.at(0), minutes.at(-1)];
  const when = first === undefined ? '' : ` ${first === last ? first : `${first} to ${last ?? ''}`} UTC`;
  const who = [...new Set(receipts.flatMap((receipt) => receipt.who ?? []))].sort();
  const rest = items.length - named;
  return [
    `${much}, received${when}${who.length === 0 ? '' : ` from ${who.join(', ')}`}`,
    ...items.slice(0, named).map((item) => `  ${item.kind} ${describeItem(item)}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ].join('\n');
}

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

import type { Upstream } from '../store/upstreams.ts';
import { nextTry } from './sync.ts';

/** What decides when an upstream is looked at next. */
export type UpstreamTimes = Pick<Upstream, 'everyMs' | 'triedAt' | 'errorKind' | 'nextTryAt'>;

const minute = 60_000;
/** A history that was rewritten may be put back, and a restore be taken back: that is looked at again, without haste. Milliseconds. */
const longestRetry = 60 * minute;
const lookedAtAgain: ReadonlySet<string> = new Set(['rewritten', 'marks']);

/** When an upstream that failed is tried again, after so many failures in a row; null: not by itself. */
export function nextPull(errorKind: string, failures: number, now: number): number | null {
  if (lookedAtAgain.has(errorKind)) return now + longestRetry;
  return errorKind === 'unrelated' ? null : nextTry(errorKind, failures, now);
}

/** The upstreams that it is time for. A clock that was set back keeps none waiting. */
export const dueUpstreams = <U extends UpstreamTimes>(upstreams: readonly U[], now: number): U[] =>
  upstreams.filter(({ everyMs, triedAt, errorKind, nextTryAt }) => {
    if (errorKind !== null) return nextTryAt !== null && (now >= nextTryAt || nextTryAt - now > longestRetry);
    return triedAt === null || Math.abs(now - triedAt) >= everyMs;
  });

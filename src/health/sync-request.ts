import type { Finding } from './finding.ts';

/** Who is at work takes a request within seconds, and the timer comes every five minutes. Milliseconds. */
const longest = 15 * 60_000;

/** Whether anybody brings mirrors up to date and follows upstreams at all. @param requestedAt since when somebody is asked to; milliseconds since 1970 */
export const requestFindings = (requestedAt: number | undefined, now: number): Finding[] =>
  requestedAt === undefined || now - requestedAt < longest
    ? []
    : [
        {
          level: 'yellow',
          about: 'mirrors',
          what: 'Nobody brings mirrors up to date or follows upstreams, though it was asked for',
          next: 'Read why with: fossilrepo logs sync. Start what is missing: fossilrepo apply. By hand: fossilrepo sync',
        },
      ];

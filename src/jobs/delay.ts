import type { Finding } from '../health/finding.ts';

/** How long one round of mending may take before somebody should look: longer than its slowest repair. Milliseconds. */
const longMending = 90_000;

/** How long commands may keep the loop from mending before that is said. Milliseconds. */
const longWaiting = 60_000;

/** Since when, in milliseconds since 1970, and by what the loop is kept from mending. */
export type Waiting = { since: number; why: string };

/** @param since when the round under way began, in milliseconds since 1970; 0 for none */
export function mendingLong(since: number): Finding[] {
  if (since === 0 || Date.now() - since < longMending) return [];
  return [
    {
      level: 'yellow',
      about: 'management',
      what: `The loop has been mending for ${secondsSince(since)} s: nothing else is mended or adopted meanwhile.`,
      next: 'It gives up by itself. See fossilrepo logs management for what keeps it waiting.',
    },
  ];
}

/** While a command changes the server the loop leaves everything alone. */
export function keptWaiting(waiting: Waiting | undefined): Finding[] {
  if (waiting === undefined || Date.now() - waiting.since < longWaiting) return [];
  return [
    {
      level: 'yellow',
      about: 'management',
      what: `${waiting.why} For ${secondsSince(waiting.since)} s nothing has been mended or adopted because of it.`,
      next: 'That goes on when the command is done; if it hangs, end it: every command can be killed and run again.',
    },
  ];
}

const secondsSince = (at: number): number => Math.round((Date.now() - at) / 1000);

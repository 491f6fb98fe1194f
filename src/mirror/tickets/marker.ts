import { createHash, createHmac } from 'node:crypto';
import type { Secret } from '../../secrets/secret.ts';

/** What an issue's hidden marker says: whose it is, and what was last written there. */
export type TicketMarker = {
  /** The ticket's hash. */
  ticket: string;
  /** Of the state that is there whole; `-` while comments are still to come. */
  rev: string;
  /** The title that was last written, shortened to a digest; empty before the first. */
  title: string;
  /** The state that was last set. */
  state: 'open' | 'closed' | '';
};

/**
 * Makes and reads markers. Each ends with a code that only this server can make: whoever copies one into an issue of theirs before ours is
 * there would have the ticket written into it.
 */
export type Markers = {
  ticket: (marker: TicketMarker) => string;
  /** The marker of an issue's text; undefined: it is none of ours. */
  readTicket: (body: string) => TicketMarker | undefined;
  comment: (ticket: string, comment: string) => string;
  /** The ids of a ticket's comments among the texts of an issue's. */
  readComments: (ticket: string, texts: readonly string[]) => Set<string>;
};

/** What ends our part of an issue's text. */
export const markerEnd = '<!-- /fossil-ticket -->';

const ticketPattern =
  /<!-- fossil-ticket: ([0-9a-f]{40,64}) rev:([0-9a-f]+|-) title:([0-9a-f]*) state:(open|closed|) key:([0-9a-f]+) -->/g;
const commentPattern = /<!-- fossil-comment: ([\w-]+) key:([0-9a-f]+) -->/g;

/** @param repository its id */
export function markersOf(instanceKey: Secret, repository: string): Markers {
  const key = createHash('sha256').update(`fossilrepo issues ${instanceKey.reveal().trim()}`).digest();
  const code = (...what: readonly string[]): string =>
    createHmac('sha256', key)
      .update([repository, ...what].join(' '))
      .digest('hex')
      .slice(0, 16);
  return {
    ticket: ({ ticket, rev, title, state }) =>
      `<!-- fossil-ticket: ${ticket} rev:${rev} title:${title} state:${state} key:${code('ticket', ticket)} -->`,
    readTicket: (body) => {
      for (const [, ticket = '', rev = '', title = '', state = '', said] of body.matchAll(ticketPattern))
        if (said === code('ticket', ticket))
          return { ticket, rev, title, state: state === 'open' || state === 'closed' ? state : '' };
      return undefined;
    },
    comment: (ticket, comment) =>
      `<!-- fossil-comment: ${comment} key:${code('comment', ticket, comment)} -->`,
    readComments: (ticket, texts) =>
      new Set(
        texts.flatMap((text) =>
          [...text.matchAll(commentPattern)].flatMap(([, comment = '', said]) =>
            said === code('comment', ticket, comment) ? comment : [],
          ),
        ),
      ),
  };
}

/** Where our part of an issue's text is: from the marker to the end mark; undefined where it isn't whole. */
export function ownPart(body: string, markers: Markers): { from: number; to: number } | undefined {
  for (const found of body.matchAll(ticketPattern)) {
    if (!markers.readTicket(found[0])) continue;
    const end = body.indexOf(markerEnd, found.index);
    return { from: found.index, to: end < 0 ? found.index + found[0].length : end + markerEnd.length };
  }
  return undefined;
}

/** Eight digits that tell one title from another. */
export const titleDigest = (title: string): string =>
  createHash('sha256').update(title).digest('hex').slice(0, 8);

import type { IssueChange, RemoteIssue } from '../hosts/issues.ts';
import { isOurLabel, type WantedIssue } from './issue.ts';
import { markerEnd, type Markers, ownPart, type TicketMarker, titleDigest } from './marker.ts';

/** An issue that is known to be a ticket's; `rev` as its marker says. */
export type KnownIssue = { issue: number; rev: string };

/** What is to be done about a ticket. */
export type TicketStep =
  { kind: 'create'; wanted: WantedIssue } | { kind: 'update'; wanted: WantedIssue; issue: number };

/**
 * What has to be done so that issues are what tickets are. A ticket that is gone in Fossil leaves its issue as it is.
 * @param known by the tickets' hashes
 */
export const planTickets = (
  wanted: readonly WantedIssue[],
  known: ReadonlyMap<string, KnownIssue>,
): TicketStep[] =>
  wanted.flatMap((one): TicketStep[] => {
    const there = known.get(one.ticket);
    if (there === undefined) return [{ kind: 'create', wanted: one }];
    return there.rev === one.rev ? [] : [{ kind: 'update', wanted: one, issue: there.issue }];
  });

/** A new issue's text. Until its comments and its state are there, too, its marker says that it isn't whole. */
export function newBody(wanted: WantedIssue, markers: Markers): string {
  const whole = wanted.comments.length === 0 && wanted.open;
  const marker: TicketMarker = {
    ...{
      ticket: wanted.ticket,
      rev: whole ? wanted.rev : '-',
      title: titleDigest(wanted.title),
      state: 'open',
    },
  };
  return ownText(wanted, marker, markers);
}

const ownText = (wanted: WantedIssue, marker: TicketMarker, markers: Markers): string =>
  `${markers.ticket(marker)}\n${wanted.text}\n${markerEnd}`;

/** What an issue lacks. */
export type IssueEdit = {
  /** Comments that are to be made, before anything else. */
  comments: readonly { id: string; text: string }[];
  /** Done at the end, all at once: with it the marker says that the issue is whole. */
  change: IssueChange;
};

/**
 * What makes an issue what its ticket is, and leaves what people did there: the text around ours, other labels, a title that somebody else
 * gave, and whether it is open until that changes in Fossil.
 * @param issue has our marker
 * @param texts of its comments
 */
export function editOf(
  wanted: WantedIssue,
  issue: RemoteIssue,
  texts: readonly string[],
  markers: Markers,
): IssueEdit {
  const last = markers.readTicket(issue.body);
  const there = markers.readComments(wanted.ticket, texts);
  const titleIsOurs = last?.title === titleDigest(issue.title);
  const title = titleIsOurs && issue.title !== wanted.title ? wanted.title : undefined;
  const state = wanted.open ? 'open' : 'closed';
  const changesState = last?.state !== state && issue.open !== wanted.open;
  const marker: TicketMarker = {
    ...{ ticket: wanted.ticket, rev: wanted.rev, state },
    title: titleIsOurs ? titleDigest(wanted.title) : (last?.title ?? ''),
  };
  const labels = [...issue.labels.filter((label) => !isOurLabel(label)), ...wanted.labels];
  const body = withOwnText(issue.body, ownText(wanted, marker, markers), markers);
  return {
    comments: wanted.comments.filter(({ id }) => !there.has(id)),
    change: {
      ...(body !== issue.body && { body }),
      ...(title !== undefined && { title }),
      ...(changesState && { open: wanted.open }),
      ...(!sameSet(labels, issue.labels) && { labels }),
    },
  };
}

/** Ours in the place of what was ours. */
function withOwnText(body: string, text: string, markers: Markers): string {
  const own = ownPart(body, markers);
  return own ? body.slice(0, own.from) + text + body.slice(own.to) : text;
}

/** Hosts keep labels in an order, and with a spelling, of their own. */
function sameSet(some: readonly string[], others: readonly string[]): boolean {
  const [one, two] = [some, others].map((all) => new Set(all.map((label) => label.toLowerCase())));
  return (
    one !== undefined &&
    two !== undefined &&
    one.size === two.size &&
    [...one].every((label) => two.has(label))
  );
}

import { createHash } from 'node:crypto';
import type { Said, Ticket } from './read.ts';
import { cutText, nameInText, toMarkdown, toTitle } from './text.ts';

/** The issue that a ticket shall be. */
export type WantedIssue = {
  /** The ticket's hash. */
  ticket: string;
  /** Of all that is in it: another one means that something was changed in Fossil. */
  rev: string;
  title: string;
  /** Markdown, without markers. */
  text: string;
  open: boolean;
  labels: readonly string[];
  /** In their order. */
  comments: readonly { id: string; text: string }[];
};

/** Statuses that mean that nothing more is to be done, whatever a repository calls it. */
const closed = /^(closed|fixed|tested|resolved|done|rejected|won'?t ?fix|duplicate|invalid)$/i;

/** Fields that become labels, which begin so; labels that begin otherwise are other people's. */
const labelled = ['type', 'priority', 'severity'] as const;

/** Whether a label of an issue follows from its ticket. */
export const isOurLabel = (label: string): boolean =>
  labelled.some((field) => label.startsWith(`${field}:`) && !label.startsWith(`${field}::`));

/** GitHub takes 50 characters. */
const longestLabel = 50;

/** What a ticket is as an issue. */
export function issueOf(ticket: Ticket): WantedIssue {
  const [first, ...others] = ticket.comments;
  // Without a description of its own the text that a ticket was made with is it.
  const opening = ticket.description.trim() === '' && first?.at === ticket.at ? first : undefined;
  const comments = opening ? others : ticket.comments;
  return {
    ticket: ticket.hash,
    rev: revisionOf(ticket),
    title: toTitle(ticket.title),
    text: cutText(textOf(ticket, opening)),
    open: !closed.test(ticket.status.trim()),
    labels: labelsOf(ticket),
    comments: comments.map((one) => ({ id: one.id, text: cutText(commentText(one)) })),
  };
}

function textOf(ticket: Ticket, opening: Said | undefined): string {
  const { status, fields } = ticket;
  const said = [
    ['Status', status],
    ['Resolution', fields['resolution']],
    ['Subsystem', fields['subsystem']],
    ['Found in', fields['foundin']],
  ].flatMap(([name = '', value = '']) => (value.trim() === '' ? [] : `${name}: ${nameInText(value)}`));
  const head = `Fossil ticket \`${ticket.hash.slice(0, 10)}\`${by(ticket.by)}, ${day(ticket.at)}`;
  const body = opening
    ? toMarkdown(opening.text, opening.mimetype)
    : // The column says nothing of its format; Fossil shows it as wiki.
      toMarkdown(ticket.description, 'text/x-fossil-wiki');
  return [[head, ...said].join(' · '), body].filter(Boolean).join('\n\n');
}

const commentText = (one: Said): string =>
  `${nameInText(one.by) || 'Somebody'} wrote in Fossil, ${day(one.at)}:\n\n${toMarkdown(one.text, one.mimetype)}`;

const by = (name: string): string => (name.trim() === '' ? '' : ` by ${nameInText(name)}`);
const day = (at: number): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');

const labelsOf = ({ fields }: Ticket): string[] =>
  labelled.flatMap((field) => {
    const value = (fields[field] ?? '').replaceAll(/[\s\p{Cc},]+/gu, ' ').trim();
    return value === '' ? [] : `${field}:${value}`.slice(0, longestLabel).toWellFormed().trim();
  });

/** Of the ticket, not of how it is written here: a new way of writing changes no issue by itself. */
const revisionOf = (ticket: Ticket): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        ...[ticket.title, ticket.status, ticket.description, Object.entries(ticket.fields).sort()],
        ticket.comments.map(({ id }) => id),
      ]),
    )
    .digest('hex')
    .slice(0, 20);

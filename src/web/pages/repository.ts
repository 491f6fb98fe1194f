import { html } from 'hono/html';
import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';
import type { Visibility } from '../../store/repositories.ts';
import type { Html } from './layout.ts';

/** One repository in the list. What could not be read is undefined. */
export type RepositoryCard = {
  name: string;
  description: string;
  visibility: Visibility;
  archived: boolean;
  url: string | undefined;
  cloneCommand: string | undefined;
  checkins: number | undefined;
  /** ISO 8601; undefined without any. */
  lastActivity: string | undefined;
  bytes: number | undefined;
  /** Only for administrators. */
  replica: { ok: boolean; ageSeconds: number | undefined; why: string | undefined } | undefined;
};

/** @param now milliseconds since 1970 */
export function repositoryItem(card: RepositoryCard, now: number): Html {
  const { name, url, description, cloneCommand } = card;
  return html`<li class="repository">
    <h3>${url === undefined ? name : html`<a href="${url}">${name}</a>`} ${badges(card)}</h3>
    ${description && html`<p>${description}</p>`}
    <ul class="facts">
      ${factsOf(card, now).map((fact) => html`<li>${fact}</li>`)}
    </ul>
    ${cloneCommand === undefined ? '' : html`<p class="clone"><span class="hidden">Clone it with: </span><code>${cloneCommand}</code></p>`}
  </li>`;
}

const badges = ({ visibility, archived }: RepositoryCard): Html =>
  html`${visibility === 'public' ? '' : html`<span class="badge">${visibility}</span>`}
  ${archived ? html`<span class="badge">archived</span>` : ''}`;

function factsOf(card: RepositoryCard, now: number): (Html | string)[] {
  const { checkins, lastActivity, bytes, replica } = card;
  if (checkins === undefined || bytes === undefined)
    return [html`<span class="bad">Its file cannot be read.</span>`];
  return [
    checkins === 1 ? '1 check-in' : `${checkins.toLocaleString('en')} check-ins`,
    lastActivity === undefined
      ? 'no activity yet'
      : html`active
          <time datetime="${lastActivity}" title="${lastActivity}">${ago(lastActivity, now)}</time>`,
    ...(replica ? [prettyBytes(bytes), replicaFact(replica)] : []),
  ];
}

function replicaFact({ ok, ageSeconds, why }: NonNullable<RepositoryCard['replica']>): Html {
  const old = ageSeconds === undefined ? undefined : age(ageSeconds);
  if (ok) return html`<span class="good">in the replica</span>${old === undefined ? '' : `, ${old} old`}`;
  return html`<strong class="bad">not safe:</strong>
    ${why ?? (old === undefined ? 'not in the replica' : `its replica is ${old} old`)}`;
}

/** How old a replica is. */
export const age = (seconds: number): string =>
  prettyMilliseconds(seconds * 1000, { unitCount: 2, secondsDecimalDigits: seconds < 60 ? 1 : 0 });

/** Dates are their author's, so they may lie ahead. */
export function ago(instant: string, now: number): string {
  const passed = now - Date.parse(instant);
  return passed < 60_000 ? 'just now' : `${prettyMilliseconds(passed, { compact: true, verbose: true })} ago`;
}

import { html } from 'hono/html';
import type { Health } from '../../health/health.ts';
import { verdictOf } from '../../health/verdict.ts';
import type { Html } from './layout.ts';
import { age, ago } from './repository.ts';

/** What the colours say, for those who don't see them. */
const urgency = { red: 'Now', yellow: 'When you can' } as const;

/** Findings on one screen; the rest is in `/health`. */
const shown = 12;

/** Whether one may sleep, in words. For administrators. @param now milliseconds since 1970 */
export function healthSection(health: Health, now: number): Html {
  const { level, findings, lookedAt } = health;
  const more = findings.length - shown;
  return html`<section class="health ${level}" aria-labelledby="health">
    <h2 id="health">${verdictOf(health)}</h2>
    ${
      findings.length === 0
        ? ''
        : html`<ul>
            ${findings
              .slice(0, shown)
              .map(
                ({ level: how, what, next }) =>
                  html`<li class="${how}">
                    <span class="hidden">${urgency[how]}: </span><strong>${what}</strong><br />${next}
                  </li>`,
              )}
            ${more > 0 ? html`<li>and ${more} more: <a href="/health">/health</a></li>` : ''}
          </ul>`
    }
    <ul class="facts">
      <li>${inReplica(health)}</li>
      <li>${verified(health, now)}</li>
      ${canary(health, now).map((fact) => html`<li>${fact}</li>`)}
      <li>${lookedAt === null ? 'never looked at' : `looked at ${ago(lookedAt, now)}`}</li>
      <li><a href="/health">as JSON</a></li>
    </ul>
  </section>`;
}

function inReplica({ repositories }: Health): string {
  const safe = repositories.filter(({ ok }) => ok).length;
  const oldest = Math.max(0, ...repositories.map(({ ageSeconds }) => ageSeconds ?? 0));
  return `${safe} of ${repositories.length} databases in the replica, the oldest ${age(oldest)} ago`;
}

function verified({ verified: { databases, inLastWeek, last } }: Health, now: number): string {
  const when = last === null ? '' : `, the last ${ago(last, now)}`;
  return `${inLastWeek} of ${databases} restored aside and compared in the last week${when}`;
}

function canary({ canary: round }: Health, now: number): string[] {
  if (round === null) return ['the canary has not flown yet'];
  if (!round.ok) return [`the canary failed ${ago(round.at, now)}`];
  return [
    `the canary's push took ${round.pushMs} ms and was in the replica ${round.replicaMs} ms later, ${ago(round.at, now)}`,
  ];
}

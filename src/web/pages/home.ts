import { html } from 'hono/html';
import type { Health } from '../../health/health.ts';
import type { Member } from '../../store/members.ts';
import { healthSection } from './health.ts';
import { type Html, page } from './layout.ts';
import { type RepositoryCard, repositoryItem } from './repository.ts';
import { signInForm } from './sign-in.ts';

export type HomeView = {
  domain: string;
  member: Member | undefined;
  cards: readonly RepositoryCard[];
  /** Only for administrators. */
  health: Health | undefined;
  /** Milliseconds since 1970. */
  now: number;
};

export function homePage({ domain, member, cards, health, now }: HomeView): Html {
  const list = html`<section aria-labelledby="repositories">
    <h2 id="repositories">Repositories</h2>
    ${
      cards.length === 0
        ? html`<p>${empty(member)}</p>`
        : html`<ul role="list">
            ${cards.map((card) => repositoryItem(card, now))}
          </ul>`
    }
  </section>`;
  return page(
    { domain, title: domain, member },
    html`<h1 class="hidden">${domain}</h1>
      ${health ? healthSection(health, now) : ''}
      ${
        member
          ? list
          : html`<div class="beside">
              ${list}
              <aside>${signInForm()}</aside>
            </div>`
      }`,
  );
}

function empty(member: Member | undefined): Html | string {
  if (member?.administrator)
    return html`None yet. On the server: <code>sudo fossilrepo repo create NAME</code>`;
  return member ? 'None that you can see.' : 'None that everybody can see.';
}

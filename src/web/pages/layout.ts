import { html } from 'hono/html';
import type { Member } from '../../store/members.ts';
import { stylePath } from '../style.ts';

/** Escaped HTML. */
export type Html = ReturnType<typeof html>;

/** What every page shows around its content. */
export type Frame = {
  domain: string;
  title: string;
  /** Who is signed in. */
  member?: Member | undefined;
};

/** A whole page. */
export function page({ domain, title, member }: Frame, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="stylesheet" href="${stylePath}" />
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header>
          <a class="forge" href="/">${domain}</a>
          ${member ? whoIsIn(member) : html`<a class="action" href="/sign-in">Sign in</a>`}
        </header>
        <main id="content">${content}</main>
        <footer>
          Served by fossilrepo, with <a href="https://fossil-scm.org/" rel="noreferrer">Fossil</a>.
        </footer>
      </body>
    </html>`;
}

const whoIsIn = (member: Member): Html =>
  html`<form class="who" method="post" action="/sign-out">
    <span>${member.displayName || member.login}</span>
    <button class="quiet">Sign out</button>
  </form>`;

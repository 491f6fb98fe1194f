import { html } from 'hono/html';
import { type Html, page } from './layout.ts';

/** The page to sign in on. @param problem why the last attempt failed @param login what was typed then */
export function signInPage(view: { domain: string; login?: string; problem?: string }): Html {
  const { domain, login = '', problem } = view;
  return page(
    { domain, title: `Sign in - ${domain}` },
    html`<h1 class="hidden">${domain}</h1>
      <section class="narrow">${signInForm(login, problem)}</section>`,
  );
}

/** The form itself, for any page. */
export const signInForm = (login = '', problem?: string): Html =>
  html`<form class="sign-in" method="post" action="/sign-in" aria-labelledby="sign-in">
    <h2 id="sign-in">Sign in</h2>
    ${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
    <label for="login">Login</label>
    <input
      id="login"
      name="login"
      value="${login}"
      autocomplete="username"
      autocapitalize="none"
      spellcheck="false"
      maxlength="200"
      required
    />
    <label for="password">Password</label>
    <input
      id="password"
      name="password"
      type="password"
      autocomplete="current-password"
      maxlength="1000"
      required
    />
    <button>Sign in</button>
  </form>`;

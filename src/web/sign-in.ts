import type { Context } from 'hono';
import { z } from 'zod';
import { checkPassword } from '../secrets/passwords.ts';
import { findMember, type Member } from '../store/members.ts';
import { type Attempts } from './attempts.ts';
import { clientOf } from './client-address.ts';
import type { WebContext } from './context.ts';
import { signInPage } from './pages/sign-in.ts';
import { startSession } from './session.ts';

const form = z.object({ login: z.string().trim().max(200), password: z.string().max(1_000) });

/** `POST /sign-in`. A wrong login and a wrong password are told, counted and timed alike. */
export function signIn(context: WebContext, attempts: Attempts): (c: Context) => Promise<Response> {
  const { forge } = context;
  return async (c) => {
    c.header('Cache-Control', 'no-store');
    const again = (status: 400 | 403 | 429, problem: string, login = '') =>
      c.html(signInPage({ domain: forge.config.domain, login, problem }), status);
    const wait = (seconds: number, problem: string, login: string) => {
      c.header('Retry-After', String(seconds));
      return again(429, problem, login);
    };
    const sent = form.safeParse(await c.req.parseBody());
    if (!sent.success) return again(400, 'Enter a login and a password.');
    const { login, password } = sent.data;
    const client = clientOf(c.req.header('x-forwarded-for'));
    const attempt = await attempts.take(client, login);
    if (!attempt.allowed) {
      if (attempt.first) forge.out.say(`sign-in: too many failed attempts; the last came from ${client}`);
      const minutes = Math.ceil(attempt.retryAfter / 60);
      const text = `Too many failed attempts. Try again in ${minutes} minute${minutes === 1 ? '' : 's'}.`;
      return wait(attempt.retryAfter, text, login);
    }
    const found = findMember(forge.store, login);
    const member = found?.disabledAt === null ? found : undefined;
    // Without a member there is still a hash to make, so that it takes as long.
    const checked = await attempts.inTurn(() => checkPassword(password, member?.passwordHash ?? ''));
    if (checked === undefined) return wait(5, 'Too many people are signing in just now. Try again.', login);
    if (!member || !checked || !isStill(context, member))
      return again(403, 'Login or password is wrong.', login);
    await attempt.succeeded();
    startSession(context, c, member);
    return c.redirect('/', 303);
  };
}

/** Meanwhile the member may have been disabled, or the password replaced. */
function isStill({ forge }: WebContext, member: Member): boolean {
  const now = findMember(forge.store, member.login);
  return now?.disabledAt === null && now.passwordHash === member.passwordHash;
}

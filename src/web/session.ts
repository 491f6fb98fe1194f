import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { newToken } from '../secrets/passwords.ts';
import type { Member } from '../store/members.ts';
import { endSession, insertSession, memberOfSession } from '../store/sessions.ts';
import type { WebContext } from './context.ts';

const cookie = 'fossilrepo';
/** How long a member stays signed in. Milliseconds. */
export const sessionLifetime = 14 * 24 * 3_600_000;

type Parts = { forge: Pick<WebContext['forge'], 'config' | 'store'> };

/** Who is signed in. Undefined for strangers, and for a member as soon as it is disabled. */
export function signedIn({ forge }: Parts, c: Context): Member | undefined {
  const token = getCookie(c, cookie, prefix(forge));
  return token === undefined || token === '' ? undefined : memberOfSession(forge.store, token);
}

/** Signs a member in with a new session; one that the browser had ends. */
export function startSession({ forge }: Parts, c: Context, member: Pick<Member, 'id'>): void {
  const former = getCookie(c, cookie, prefix(forge));
  if (former !== undefined) endSession(forge.store, former);
  const token = newToken().reveal();
  insertSession(forge.store, member.id, token, sessionLifetime);
  setCookie(c, cookie, token, { ...attributes(forge), maxAge: sessionLifetime / 1000 });
}

/** Signs out: here, and in the browser. */
export function stopSession({ forge }: Parts, c: Context): void {
  const token = deleteCookie(c, cookie, attributes(forge));
  if (token !== undefined) endSession(forge.store, token);
}

/** A repository's page could set a cookie of the plain name for the whole domain; one named `__Host-…` only we can. */
const prefix = ({ config }: Parts['forge']): 'host' | undefined =>
  config.tls === 'off' ? undefined : 'host';

const attributes = (forge: Parts['forge']) => {
  const named = prefix(forge);
  const common = { path: '/', httpOnly: true, sameSite: 'Lax' } as const;
  return named === undefined ? common : { ...common, prefix: named, secure: true };
};

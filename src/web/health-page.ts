import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'hono';
import { tokenOf } from '../access/members.ts';
import { newestEvents } from '../store/events.ts';
import { listMembers } from '../store/members.ts';
import type { WebContext } from './context.ts';
import { signedIn } from './session.ts';

/** How much of what the server did lately is told. */
const eventsShown = 20;

/**
 * `GET /health`: 200, or 503 while it is red. Strangers learn only that: the rest names private repositories. The whole, with what
 * the server did lately, is for a signed-in administrator, and for monitoring that sends `Authorization: Bearer` with an administrator's
 * access token.
 */
export function healthPage(context: WebContext): (c: Context) => Response {
  return (c) => {
    c.header('Cache-Control', 'no-store');
    const authorization = c.req.header('authorization');
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const byToken = token !== undefined && isAdministrators(context, token);
    if (authorization !== undefined && !byToken) {
      c.header('WWW-Authenticate', 'Bearer');
      return c.json({ error: "This is no administrator's access token; see fossilrepo user token." }, 401);
    }
    const health = context.health();
    const { ok, level, lookedAt } = health;
    const whole = byToken || signedIn(context, c)?.administrator === true;
    const shown = whole
      ? { ...health, events: newestEvents(context.forge.store, eventsShown) }
      : { ok, level, lookedAt };
    return c.json(shown, ok ? 200 : 503);
  };
}

/** Compares hashes, in constant time, with every administrator's. */
function isAdministrators({ forge }: WebContext, token: string): boolean {
  const given = hashOf(token);
  return listMembers(forge.store)
    .filter(({ administrator }) => administrator)
    .map((member) => timingSafeEqual(given, hashOf(tokenOf(forge, member).reveal())))
    .includes(true);
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();

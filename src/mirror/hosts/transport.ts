import { setTimeout as sleep } from 'node:timers/promises';
import type { Secret } from '../../secrets/secret.ts';
import { RemoteError } from '../remote/error.ts';
import { limitedUntil, RateLimited, spentUntil } from './rate-limit.ts';

/** How a host's API is spoken to. */
export type ApiAccess = {
  /** Where the API begins, as `https://api.github.com`. Nobody else ever gets the token. */
  base: string;
  /** Put into the header by the host's client; known here only to be hidden. */
  token: Secret;
  signal?: AbortSignal | undefined;
  /** Between two requests that make something. Milliseconds. */
  pace: number;
  /** A rate limit that ends sooner is waited for. Milliseconds. */
  patience: number;
  /** For one request. Milliseconds. */
  deadline: number;
};

/** Between two tries of a question that was not answered. Milliseconds. */
const pauses = [1_000, 4_000] as const;
/** How often a refusal for its rate is waited for in one request. */
const mostWaits = 5;
/** How much of what a host says is shown. Characters. */
const shown = 300;

/**
 * What all clients use to speak to their hosts, so that all of them behave alike: each request has a deadline, rate limits are kept, and
 * the token goes to no other address. Questions are asked again when nobody answers; what makes something never is, since its answer may be
 * all that was lost. (The clients' own retries do both: they are not used.)
 */
export function apiFetch(access: ApiAccess): typeof fetch {
  const origin = new URL(access.base).origin;
  const host = new URL(access.base).host;
  const hide = (text: string) => text.replaceAll(access.token.reveal(), '[secret]');
  let notBefore = 0;
  let nextWrite = 0;

  const waitUntil = async (until: number): Promise<void> => {
    const pause = until - Date.now();
    if (pause <= 0) return;
    if (pause > access.patience) throw new RateLimited(host, until);
    await sleep(pause, undefined, { signal: access.signal });
  };

  const once = async (request: Request): Promise<Response> => {
    const signals = [AbortSignal.timeout(access.deadline), ...(access.signal ? [access.signal] : [])];
    try {
      const answer = await fetch(request, { redirect: 'manual', signal: AbortSignal.any(signals) });
      // Read here, so that the deadline holds for all of it.
      const body = await answer.arrayBuffer();
      const { status, headers } = answer;
      return new Response([204, 205, 304].includes(status) ? null : body, { status, headers });
    } catch (error) {
      access.signal?.throwIfAborted();
      if (error instanceof DOMException && error.name === 'TimeoutError')
        throw new RemoteError('timeout', `${host} did not answer within ${access.deadline / 1_000} s.`);
      throw new RemoteError('unreachable', `${host} could not be asked: ${hide(reasonOf(error))}.`);
    }
  };

  const patiently = async (request: Request): Promise<Response> => {
    for (let tries = 0, waits = 0; ;) {
      await waitUntil(notBefore);
      if (isWrite(request)) {
        await waitUntil(nextWrite);
        nextWrite = Date.now() + access.pace;
      }
      let answer: Response;
      try {
        answer = await once(request.clone());
      } catch (error) {
        const pause = pauses[tries++];
        if (isWrite(request) || pause === undefined || access.signal?.aborted) throw error;
        await sleep(pause, undefined, { signal: access.signal });
        continue;
      }
      notBefore = Math.max(notBefore, spentUntil(answer.headers, Date.now()) ?? 0);
      if (answer.ok) return checked(host, answer);
      const said = hide(await answer.clone().text());
      const until = limitedUntil(answer, said, Date.now());
      if (until !== undefined) {
        // A refused request was not carried out: it may be repeated whatever it makes.
        if (waits++ >= mostWaits) throw new RateLimited(host, until);
        notBefore = until;
        continue;
      }
      const pause = answer.status >= 500 && !isWrite(request) ? pauses[tries++] : undefined;
      if (pause === undefined) throw refusal(host, request, answer.status, said);
      await sleep(pause, undefined, { signal: access.signal });
    }
  };

  return async (input, init) => {
    const request = new Request(input, init);
    if (new URL(request.url).origin !== origin)
      throw new RemoteError('unreachable', `${host} sends on to another address, which is not followed.`);
    return await patiently(request);
  };
}

/** The host knows what was asked for by another address. */
export class Moved extends RemoteError {}

/** The host took a request and failed at it, as may be for that one alone. */
export class HostFailed extends RemoteError {}

/** A page for people in the place of an answer is a proxy's, or another server's. */
function checked(host: string, answer: Response): Response {
  if (answer.status === 204 || answer.headers.get('content-type')?.includes('json')) return answer;
  throw new RemoteError('unreachable', `${host} does not answer as an API does.`, {
    next: 'Look whether that is the address of its API; --api says another one.',
  });
}

const isWrite = ({ method }: Request): boolean => method !== 'GET' && method !== 'HEAD';

function refusal(host: string, request: Request, status: number, said: string): RemoteError {
  const what = `${request.method} ${new URL(request.url).pathname}`;
  const words = wordsOf(said);
  const told = words === '' ? '' : `: ${words}`;
  if (status === 401)
    return new RemoteError('credential', `${host} refused the token for its API${told}.`, {
      next: 'Give the mirror another token: fossilrepo mirror configure REPOSITORY --token-stdin',
    });
  if (status === 403)
    return new RemoteError('credential', `${host} does not let this token ${what}${told}.`, {
      next: 'Give the token the right to read and write issues, or the mirror another token.',
    });
  if (status === 404 || status === 410)
    return new RemoteError('missing', `${host} has no ${new URL(request.url).pathname}${told}.`, {
      next: 'Look whether the repository is there, whether its issues are turned on, and whether the token may see it.',
    });
  if (status >= 300 && status < 400)
    return new Moved('unreachable', `${host} sends ${what} on to another address, which is not followed.`, {
      next: 'Remove the mirror and add it with its present address.',
    });
  if (status >= 500)
    return new HostFailed('unreachable', `${host} answered ${status} to ${what}${told}.`, {
      next: 'It is tried again by itself.',
    });
  return new RemoteError('rejected', `${host} refused ${what} (${status})${told}.`);
}

/** What an answer says for people: these hosts write it as `message`, `error` or `error_description`, GitHub the reason in a second one. */
function wordsOf(said: string): string {
  const found = said.matchAll(/"(?:message|error|error_description)"\s*:\s*"((?:[^"\\]|\\.)*)"/g);
  const words = [...found].map(([, word = '']) => word).join(' · ');
  return (words || (said.trimStart().startsWith('<') ? '' : said))
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, shown);
}

/** Node hides why a connection failed in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

/** The error that a client wrapped, or the error itself. */
export function unwrapped(error: unknown): unknown {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at instanceof RemoteError || at instanceof RateLimited) return at;
  return error;
}

/** For questions whose answer may be that there is none. */
export function unlessMissing(error: unknown): undefined {
  if (error instanceof RemoteError && error.kind === 'missing') return undefined;
  throw error;
}

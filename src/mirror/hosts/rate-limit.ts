import { OperatorError } from '../../errors.ts';

/** A host that wants to be asked no more before an instant. Nothing is wrong: the work goes on then. */
export class RateLimited extends OperatorError {
  override name = 'RateLimited';
  /** Milliseconds since 1970. */
  readonly until: number;

  constructor(host: string, until: number) {
    super(`${host} takes no more requests before ${new Date(until).toISOString()}.`, {
      next: 'It goes on by itself then.',
    });
    this.until = until;
  }
}

/** A wait that a host did not tell. Milliseconds. */
const unsaid = 60_000;
/** Not believed that it is longer: the longest window of any of these hosts is an hour. Milliseconds. */
const longest = 3_600_000;

/**
 * Until when a host that refused a request for its rate wants to be left alone; undefined when it refused it for something else. GitHub says
 * 403 or 429 with `Retry-After` or `X-RateLimit-*`, and its secondary limits only in words; GitLab 429 with `Retry-After` and `RateLimit-*`;
 * Gitea leaves it to a proxy, which says 429.
 * @param said the answer's text @param now milliseconds since 1970
 */
export function limitedUntil(
  answer: Pick<Response, 'status' | 'headers'>,
  said: string,
  now: number,
): number | undefined {
  const { status, headers } = answer;
  if (status !== 429 && status !== 403) return undefined;
  const after = retryAfter(headers.get('retry-after'), now);
  if (after !== undefined) return bounded(after, now);
  const spent = spentUntil(headers, now);
  if (spent !== undefined) return spent;
  return status === 429 || /rate limit|abuse detection/i.test(said) ? now + unsaid : undefined;
}

/** When a host says with an answer that it was the last one for now: until when. Milliseconds since 1970. */
export function spentUntil(headers: Headers, now: number): number | undefined {
  for (const prefix of ['x-ratelimit', 'ratelimit']) {
    const reset = Number(headers.get(`${prefix}-reset`) ?? '');
    if (headers.get(`${prefix}-remaining`) === '0' && reset > 0) return bounded(reset * 1_000, now);
  }
  return undefined;
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfter(value: string | null, now: number): number | undefined {
  if (value === null || value.trim() === '') return undefined;
  const at = /^\d+$/.test(value.trim()) ? now + Number(value) * 1_000 : Date.parse(value);
  return Number.isNaN(at) ? undefined : at;
}

/** A second more, since both clocks may have cut one off. */
const bounded = (until: number, now: number): number => Math.min(Math.max(until, now) + 1_000, now + longest);

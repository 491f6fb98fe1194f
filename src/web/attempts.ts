import { createHash } from 'node:crypto';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Failed sign-ins that one address gets in `seconds`. */
export const attemptsPerAddress = 10;
/**
 * Failed sign-ins that one login gets from everywhere in `seconds`. More than one address gets, so that nobody alone can
 * lock a member out; with it, guessing from many addresses stays below 5000 a day.
 */
export const attemptsPerLogin = 50;
const seconds = 15 * 60;
/** Passwords that may wait to be checked: each takes a tenth of a second and 32 MiB. */
const longestQueue = 20;

/** An attempt that may be made, or how long to wait. */
export type Attempt =
  | { allowed: true; succeeded: () => Promise<void> }
  | {
      allowed: false;
      /** Seconds. */
      retryAfter: number;
      /** Whether it is the first that was refused: time to say so in the log. */
      first: boolean;
    };

export type Attempts = {
  /** Counts an attempt to sign in before it is made, so that many at once don't slip through; a success is given back. */
  take: (client: string, login: string) => Promise<Attempt>;
  /** Does the work after those before it: hashing never takes more than one thread. @returns undefined when too many wait */
  inTurn: <T>(work: () => Promise<T>) => Promise<T | undefined>;
};

/** Limits on signing in, in memory. An unknown login is counted like any other, so that limits tell nothing either. */
export function limitAttempts(): Attempts {
  const perAddress = new RateLimiterMemory({ points: attemptsPerAddress, duration: seconds });
  const perLogin = new RateLimiterMemory({ points: attemptsPerLogin, duration: seconds });
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    take: async (client, login) => {
      const key = createHash('sha256').update(login).digest('base64url');
      try {
        await perAddress.consume(client);
        await perLogin.consume(key);
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        const { msBeforeNext, consumedPoints } = refused;
        const first = consumedPoints === attemptsPerAddress + 1 || consumedPoints === attemptsPerLogin + 1;
        return { allowed: false, retryAfter: Math.max(1, Math.ceil(msBeforeNext / 1000)), first };
      }
      const succeeded = async () => {
        await perAddress.reward(client);
        await perLogin.reward(key);
      };
      return { allowed: true, succeeded };
    },
    inTurn: async (work) => {
      if (waiting >= longestQueue) return undefined;
      waiting++;
      const mine = last.then(work).finally(() => waiting--);
      last = mine.catch(() => undefined);
      return await mine;
    },
  };
}

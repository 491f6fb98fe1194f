import { dailyCount, isDue } from '../backup/verify/sample.ts';
import type { Forge } from '../forge.ts';
import { listRepositories } from '../store/repositories.ts';
import { lastRound, lastVerifications, noteRound } from '../store/verifications.ts';
import { beside } from './beside.ts';

export type DailyVerification = {
  /** Begins today's round if it is time. */
  check: () => void;
  stop: () => void;
};

/**
 * Verifies some repositories a day, each about once a week: in a process of its own, since comparing takes seconds in which nothing else
 * would be done, and with the lowest claim on the processor.
 * @param ours whether the replica may be asked
 */
export function verifyDaily(
  forge: Forge,
  ours: () => boolean,
  log: (text: string) => void,
): DailyVerification {
  const { store, paths, instance } = forge;
  const verification = beside(paths.root, 'daily verification', log);

  const begin = (now: number): void => {
    const ids = listRepositories(store)
      .filter(({ state }) => state === 'active')
      .map(({ id }) => id);
    const answered = new Map([...lastVerifications(store)].map(([id, { at }]) => [id, at]));
    const sample = dailyCount(ids, answered, now);
    // At its beginning: a round that ends the server is not begun again and again.
    noteRound(store, now);
    verification.begin('backup', 'verify', '--sample', String(sample));
  };

  return {
    check: () => {
      const now = Date.now();
      const last = lastRound(store);
      if (last === undefined) noteRound(store, now);
      else if (!verification.isRunning() && ours() && isDue(instance, last, now)) begin(now);
    },
    stop: verification.stop,
  };
}

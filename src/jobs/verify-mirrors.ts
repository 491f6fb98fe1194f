import type { Forge } from '../forge.ts';
import { mirroredFiles } from '../store/mirrors.ts';
import { getSetting, setSetting } from '../store/store.ts';
import { beside } from './beside.ts';
import type { DailyVerification } from './verify-daily.ts';

const key = 'mirrors.verified';
const day = 24 * 3_600_000;
/** Each repository's turn comes once so often. Days. */
const cycle = 7;

/** Compares some of the repositories that have mirrors with Git every day, those that were not for the longest time. */
export function verifyMirrorsDaily(
  { store, paths }: Pick<Forge, 'store' | 'paths'>,
  log: (text: string) => void,
): DailyVerification {
  const verification = beside(paths.root, 'daily verification of mirrors', log);
  return {
    check: () => {
      const now = Date.now();
      const last = getSetting(store, key);
      // Not on the day that it begins: what has just been pushed needs no second look.
      if (last === undefined) setSetting(store, key, String(now));
      else if (!verification.isRunning() && Math.abs(now - Number(last)) >= day) {
        const count = mirroredFiles(store).length;
        // At its beginning: a round that ends the server is not begun again and again.
        setSetting(store, key, String(now));
        if (count > 0) verification.begin('mirror', 'verify', '--sample', String(Math.ceil(count / cycle)));
      }
    },
    stop: verification.stop,
  };
}

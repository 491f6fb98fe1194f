import type { Forge } from '../forge.ts';
import { takeRound } from '../mirror/verify-round.ts';
import { beside } from './beside.ts';
import type { DailyVerification } from './verify-daily.ts';

/** Compares some of the repositories that have mirrors with Git every day, those whose turn was longest ago. */
export function verifyMirrorsDaily(
  forge: Pick<Forge, 'store' | 'paths'>,
  log: (text: string) => void,
): DailyVerification {
  const verification = beside(forge.paths.root, 'daily verification of mirrors', log);
  return {
    check: () => {
      if (verification.isRunning()) return;
      const count = takeRound(forge, Date.now());
      if (count > 0) verification.begin('mirror', 'verify', '--sample', String(count));
    },
    stop: verification.stop,
  };
}

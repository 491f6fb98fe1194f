import ms, { type StringValue } from 'ms';
import { OperatorError } from '../errors.ts';

/** How often at the latest mirrors look for what is new, when nobody says. Milliseconds. */
export const usualSchedule = 15 * 60_000;
const shortest = 60_000;
const longest = 7 * 24 * 3_600_000;

/** Reads how often: `15m`, `2h`, `1d`. @returns milliseconds @throws OperatorError (usage) */
export function parseSchedule(text: string): number {
  const every = /^\d{1,6}(m|h|d)$/.test(text) ? ms(text as StringValue) : 0;
  if (every >= shortest && every <= longest) return every;
  throw new OperatorError(`${JSON.stringify(text)} is no schedule.`, {
    next: 'Write it like 15m, 2h or 1d; from 1m to 7d.',
    exit: 'usage',
  });
}

/** As `parseSchedule` reads it. */
export const showSchedule = (every: number): string =>
  every % 86_400_000 === 0
    ? `${every / 86_400_000}d`
    : every % 3_600_000 === 0
      ? `${every / 3_600_000}h`
      : `${Math.round(every / 60_000)}m`;

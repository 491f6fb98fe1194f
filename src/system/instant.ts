import ms from 'ms';
import prettyMilliseconds from 'pretty-ms';
import { OperatorError } from '../errors.ts';

/**
 * Reads an instant as people write it: ISO 8601 with or without a zone (this machine's when none), or an age (`15m`, `2h`, `3d`).
 * @throws OperatorError (usage) when it is neither, no real date, or in the future
 */
export function parseInstant(text: string, now = new Date()): Date {
  const instant = age(text, now) ?? iso(text);
  if (instant === undefined)
    throw new OperatorError(`${JSON.stringify(text)} is no time.`, {
      next: 'Write it like 2026-11-21T14:00, 2026-11-21T14:00:05Z, or as an age: 15m, 2h, 3d.',
      exit: 'usage',
    });
  if (instant > now)
    throw new OperatorError(`${showInstant(instant)} is in the future.`, {
      next: `Here it is ${showInstant(now)}. A time without a zone is this machine's.`,
      exit: 'usage',
    });
  return instant;
}

/** Whether an instant as people write it is another one whenever it is read. */
export const isAge = (text: string): boolean => text === 'now' || /^\d+(\.\d+)?(s|m|h|d|w)$/.test(text);

function age(text: string, now: Date): Date | undefined {
  if (!isAge(text)) return undefined;
  if (text === 'now') return now;
  return new Date(now.getTime() - ms(text as ms.StringValue));
}

const pattern = /^(\d{4}-\d{2}-(\d{2}))(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?)?$/;

function iso(text: string): Date | undefined {
  const [, date = '', day, time = '00:00', zone = ''] = pattern.exec(text) ?? [];
  const instant = new Date(`${date}T${time}${zone}`);
  // JavaScript takes the 31st of February for the 3rd of March.
  const real = new Date(`${date}T00:00Z`).getUTCDate() === Number(day);
  return Number.isNaN(instant.getTime()) || !real ? undefined : instant;
}

/** An instant with its zone, to the second: `2026-11-21 14:00:05 +01:00`; with milliseconds when it has some. */
export function showInstant(instant: Date): string {
  const offset = -instant.getTimezoneOffset();
  const local = new Date(instant.getTime() + offset * 60_000).toISOString();
  const two = (value: number) => String(value).padStart(2, '0');
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const fraction = local.slice(19, 23);
  return `${local.slice(0, 10)} ${local.slice(11, 19)}${fraction === '.000' ? '' : fraction} ${zone}`;
}

/** How long ago an instant was, in its largest unit, for a column: `2h ago`. @param instant ISO 8601; one in the future is now */
export const ago = (instant: string, now = Date.now()): string =>
  `${prettyMilliseconds(Math.max(0, now - Date.parse(instant)), { compact: true })} ago`;

/** How long it is until an instant, for a column: `in 2h`, or `now`. @param at milliseconds since 1970, as `now` */
export const untilThen = (at: number, now: number): string =>
  at <= now ? 'now' : `in ${prettyMilliseconds(at - now, { compact: true })}`;

/** An instant that may be missing, for JSON. @param at milliseconds since 1970 @returns ISO 8601 */
export const isoOrNull = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

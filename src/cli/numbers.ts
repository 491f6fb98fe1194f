import { InvalidArgumentError } from 'commander';
import ms, { type StringValue } from 'ms';

/** A whole number above 0, of an option. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}

/** Milliseconds, of an option that says how long. */
export function duration(text: string): number {
  const time = /^[1-9]\d{0,3}(s|m|h|d)$/.test(text) ? ms(text as StringValue) : Infinity;
  if (time > longest) throw new InvalidArgumentError('Write it like 90s, 30m, 12h or 2d; at most 7d.');
  return time;
}

const longest = ms('7d');

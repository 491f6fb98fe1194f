import { InvalidArgumentError } from 'commander';

/** A whole number above 0, of an option. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}

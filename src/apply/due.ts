import { rmSync } from 'node:fs';
import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import { partNames, type PartName } from '../stack/parts.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';

const actions = z.enum(['reload', 'restart']);
const due = z.partialRecord(z.enum(partNames), actions);

/** What has to happen to a part because a file that it reads was written. */
export type DueAction = z.output<typeof actions>;
export type Due = z.output<typeof due>;

/**
 * What parts have yet to do. It is noted before a file is written and forgotten when the part did it, so that a command that was
 * killed between the two is finished by the next one, to which the file looks as wanted.
 */
export function readDue(paths: Pick<Paths, 'due'>): Due {
  const text = readIfThere(paths.due);
  return text === undefined ? {} : due.parse(JSON.parse(text));
}

export function noteDue(
  paths: Pick<Paths, 'due'>,
  then: readonly { part: PartName; action: DueAction }[],
): void {
  const now = readDue(paths);
  const added = then.filter(({ part, action }) => now[part] !== action && now[part] !== 'restart');
  if (added.length === 0) return;
  const all = { ...now, ...Object.fromEntries(added.map(({ part, action }) => [part, action])) };
  writeAtomic(paths.due, JSON.stringify(all), 0o644);
}

/** @param part left out: all of them */
export function forgetDue(paths: Pick<Paths, 'due'>, part?: PartName): void {
  const left = Object.fromEntries(Object.entries(readDue(paths)).filter(([name]) => part && name !== part));
  if (Object.keys(left).length === 0) rmSync(paths.due, { force: true });
  else writeAtomic(paths.due, JSON.stringify(left), 0o644);
}

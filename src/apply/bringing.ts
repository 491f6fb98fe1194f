import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';

const bringing = z.object({
  version: z.literal(1),
  /** The replica's address. */
  from: z.string(),
  /** The server in it. Its replica may be at another address when the command is run again. */
  instance: z.string(),
  /** The instant to which all is brought back; null: the newest state of each. */
  at: z.iso.datetime().nullable(),
});

/** A restore of the whole server that is not at its end: whoever is asked to install anything else has to know. */
export type Bringing = Omit<z.output<typeof bringing>, 'version'>;

/** Undefined when none is under way. */
export function readBringing(paths: Pick<Paths, 'bringing'>): Bringing | undefined {
  const text = readIfThere(paths.bringing);
  return text === undefined ? undefined : bringing.parse(JSON.parse(text));
}

export function noteBringing(paths: Pick<Paths, 'bringing'>, note: Bringing): void {
  mkdirSync(dirname(paths.bringing), { recursive: true, mode: 0o755 });
  writeAtomic(paths.bringing, `${JSON.stringify({ version: 1, ...note })}\n`, 0o644);
}

/** All is in its place. */
export const endBringing = (paths: Pick<Paths, 'bringing'>): void => rmSync(paths.bringing, { force: true });

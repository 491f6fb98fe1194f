import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';

/** A folder for one piece of work, gone when that ends: `using folder = scratch(paths)`. */
export type Scratch = { path: string; [Symbol.dispose]: () => void };

/**
 * Fossil notes every repository that it makes or opens in its home, and two that start at once in a new home fail
 * ("table global_config already exists"): so each piece of work has a home of its own.
 */
export function scratch(paths: Pick<Paths, 'tmp'>): Scratch {
  const path = mkdtempSync(join(paths.tmp, 'scratch-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Nothing is made for longer than this: Fossil's clone is ended after a day. Milliseconds. */
const oldest = 2 * 24 * 3_600_000;

/** Removes what killed commands left among the temporary files. */
export function sweepScratch({ tmp }: Pick<Paths, 'tmp'>): void {
  for (const name of readdirSync(tmp)) {
    const path = join(tmp, name);
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry && Date.now() - entry.mtimeMs > oldest) rmSync(path, { recursive: true, force: true });
  }
}

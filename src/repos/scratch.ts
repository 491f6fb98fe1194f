import { mkdtempSync, rmSync } from 'node:fs';
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

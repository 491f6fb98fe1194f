import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { codeOf } from '../errors.ts';

/** A folder for one piece of work, gone when that ends: `using folder = scratch(paths)`. */
export type Scratch = { path: string; [Symbol.dispose]: () => void };

/**
 * `verify`: a whole restored state, which nobody but a verification has. `remote-PID`: what one process needs to work with a remote,
 * its credential among it.
 */
export type ScratchKind = 'scratch' | 'verify' | `remote-${number}`;

/**
 * Fossil notes every repository that it makes or opens in its home, and two that start at once in a new home fail
 * ("table global_config already exists"): so each piece of work has a home of its own.
 */
export function scratch(paths: Pick<Paths, 'tmp'>, kind: ScratchKind = 'scratch'): Scratch {
  const path = mkdtempSync(join(paths.tmp, `${kind}-`));
  // What was killed a moment ago may still write there.
  const gone = { recursive: true, force: true, maxRetries: 10, retryDelay: 20 };
  return { path, [Symbol.dispose]: () => rmSync(path, gone) };
}

/** Nothing is made for longer than this: Fossil's clone is ended after a day. Milliseconds. */
const oldest = 2 * 24 * 3_600_000;

/** Where commands have the states that they fetch; what dead ones left is cleared away by `settleAsides`, which looks who lives. */
export const asidePrefix = 'restore-';

/** Removes what killed commands left among the temporary files. */
export function sweepScratch({ tmp }: Pick<Paths, 'tmp'>): void {
  for (const name of readdirSync(tmp)) {
    const path = join(tmp, name);
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isDirectory() && name.startsWith(asidePrefix)) continue;
    if (entry && Date.now() - entry.mtimeMs > oldest) rmSync(path, { recursive: true, force: true });
  }
}

/** Removes what killed verifications left, which may be as large as all else. The caller holds the `verify` lock: none is at work. */
export function sweepVerifications({ tmp }: Pick<Paths, 'tmp'>): void {
  for (const name of readdirSync(tmp))
    if (name.startsWith('verify-')) rmSync(join(tmp, name), { recursive: true, force: true });
}

/** Removes the credentials that killed processes left. */
export function sweepRemotes({ tmp }: Pick<Paths, 'tmp'>): void {
  for (const name of readdirSync(tmp)) {
    const [, pid] = /^remote-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && isGone(Number(pid))) rmSync(join(tmp, name), { recursive: true, force: true });
  }
}

/** Asked of the kernel, not of /proc: units see no process there that was root's before (ProtectProc=invisible). */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

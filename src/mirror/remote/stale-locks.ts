import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync } from 'node:fs';
import { codeOf } from '../../errors.ts';
import { isWithin } from '../../system/files.ts';
import type { RemoteAddress } from './address.ts';

/** Git has a lock for moments: a younger one is somebody's. Milliseconds. */
const moment = 10_000;
/** One of which nobody can say whether its maker lives is left alone for so long. Milliseconds. */
const longest = 15 * 60_000;

/**
 * Removes the locks that a killed push left in a folder on this machine: git never does, and each later push would be refused.
 * @param said what git said when it was refused
 * @returns whether one was removed
 */
export function clearStaleLocks({ protocol, path }: RemoteAddress, said: readonly string[]): boolean {
  if (protocol !== 'file') return false;
  const locks = said.flatMap((line) => /Unable to create '(.+\.lock)': File exists/.exec(line)?.[1] ?? []);
  const cleared = [...new Set(locks)].map((lock) => clear(lock, realpathSync(path)));
  return cleared.includes(true);
}

function clear(lock: string, folder: string): boolean {
  const made = statSync(lock, { throwIfNoEntry: false });
  if (made === undefined) return true;
  const age = Math.abs(Date.now() - made.mtimeMs);
  if (age < moment || !isWithin(realpathSync(lock), folder)) return false;
  if (isAtWork(folder, { unknown: age < longest })) return false;
  rmSync(lock, { force: true });
  return true;
}

/** Whether any git works in a folder. @param unknown what is answered for one of which it can't be seen: another user's */
function isAtWork(folder: string, { unknown }: { unknown: boolean }): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('git')) return false;
        return isWithin(readlinkSync(`/proc/${pid}/cwd`), folder);
      } catch (error) {
        // What has ended meanwhile works nowhere.
        return codeOf(error) === 'EACCES' && unknown;
      }
    });
}

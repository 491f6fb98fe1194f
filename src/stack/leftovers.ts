import { readdirSync, statSync } from 'node:fs';
import { codeOf } from '../errors.ts';
import { readAsOwner } from '../system/as-owner.ts';
import { readIfThere } from '../system/files.ts';
import { findUser, serviceUsers } from '../system/identity.ts';

/** What marks the processes of a server that `fossilrepo up` runs, in their environment: their children have it too. */
export const markOf = (root: string): Record<string, string> => ({ FOSSILREPO_UP: root });

/**
 * Ends what parts left behind, as systemd does with a unit's control group: Fossil's backoffice goes on for a minute in a session of
 * its own (backoffice.c). The caller is the only `fossilrepo up` of this folder, and none of its parts runs.
 */
export function endLeftovers(root: string): void {
  const [mark] = Object.entries(markOf(root)).map((pair) => pair.join('='));
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)))
    if (
      environmentOf(name)
        .split('\0')
        .includes(mark ?? '')
    )
      end(Number(name));
}

/** Empty for a process of somebody else's when we aren't root, or one that has ended. */
function environmentOf(pid: string): string {
  const file = `/proc/${pid}/environ`;
  try {
    return readIfThere(file) ?? '';
  } catch (error) {
    if (['EACCES', 'EPERM'].includes(codeOf(error) ?? ''))
      return isOfService(pid) ? readAsOwner(Number(pid), ['cat', file]) : '';
    if (codeOf(error) === 'ESRCH') return '';
    throw error;
  }
}

/** Whether a process belongs to a user whom parts run as. */
function isOfService(pid: string): boolean {
  const owner = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  return Object.values(serviceUsers).some((name) => owner !== undefined && findUser(name)?.uid === owner);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

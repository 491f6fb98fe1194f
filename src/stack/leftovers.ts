import { readdirSync } from 'node:fs';
import { codeOf } from '../errors.ts';
import { readIfThere } from '../system/files.ts';

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

/** Empty for a process of somebody else's, or one that has ended. */
function environmentOf(pid: string): string {
  try {
    return readIfThere(`/proc/${pid}/environ`) ?? '';
  } catch (error) {
    if (['EACCES', 'EPERM', 'ESRCH'].includes(codeOf(error) ?? '')) return '';
    throw error;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

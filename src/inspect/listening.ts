import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { codeOf } from '../errors.ts';
import { readAsOwner } from '../system/as-owner.ts';

/** The state that /proc/net/tcp gives a socket that waits for connections (TCP_LISTEN). */
const listen = '0A';

/** The TCP ports that a process listens on; none when it has ended, or belongs to somebody else and the caller isn't root. */
export function listeningPorts(pid: number): number[] {
  const sockets = new Set(socketsOf(pid));
  return [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`].flatMap((table) =>
    (unlessGone(() => readFileSync(table, 'utf8')) ?? '').split('\n').flatMap((line) => {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      return state === listen && sockets.has(inode ?? '') ? [parseInt(local?.split(':')[1] ?? '', 16)] : [];
    }),
  );
}

/** The inodes of a process's sockets. */
function socketsOf(pid: number): string[] {
  return targetsOf(pid).flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}

/** What a process has open. Root may list it without CAP_SYS_PTRACE, but not read it. */
function targetsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    const names = unlessGone(() => readdirSync(folder)) ?? [];
    return names.map((name) => unlessGone(() => readlinkSync(`${folder}/${name}`)) ?? '');
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    return readAsOwner(pid, ['find', folder, '-mindepth', '1', '-printf', '%l\\n']).split('\n');
  }
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

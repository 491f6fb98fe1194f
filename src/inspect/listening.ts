import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { codeOf } from '../errors.ts';

/** The state that /proc/net/tcp gives a socket that waits for connections (TCP_LISTEN). */
const listen = '0A';

/** The TCP ports that a process listens on; none when it has ended or belongs to somebody else. */
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
  const folder = `/proc/${pid}/fd`;
  return (unlessGone(() => readdirSync(folder)) ?? []).flatMap((name) => {
    const target = unlessGone(() => readlinkSync(`${folder}/${name}`)) ?? '';
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ESRCH', 'EINVAL'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

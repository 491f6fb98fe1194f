import { readFileSync } from 'node:fs';

/** A lock that a process has on some bytes of a file. */
export type RecordLock = {
  mode: 'READ' | 'WRITE';
  pid: number;
  inode: number;
  /** The first and the last byte. */
  bytes: readonly [number, number];
};

/** Every lock on bytes of files that the kernel tells of in `/proc/locks`, anybody's. */
export function recordLocks(): RecordLock[] {
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, mode, pid, inode, first, last] =
        / (READ|WRITE) +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+)/.exec(line) ?? [];
      if (mode !== 'READ' && mode !== 'WRITE') return [];
      return [{ mode, pid: Number(pid), inode: Number(inode), bytes: [Number(first), Number(last)] }];
    });
}

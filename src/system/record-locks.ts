import { readIfThere } from './files.ts';

/** A lock that a process has on some bytes of a file. */
export type RecordLock = {
  mode: 'READ' | 'WRITE';
  pid: number;
  inode: number;
  /** `MAJOR:MINOR` of the file system, in hexadecimal. */
  device: string;
  /** The first and the last byte. */
  bytes: readonly [number, number];
};

/** Every lock on bytes of files that the kernel tells of in `/proc/locks`, anybody's; none where it tells of none. */
export function recordLocks(): RecordLock[] {
  return (readIfThere('/proc/locks') ?? '').split('\n').flatMap((line) => {
    const [, mode, pid, device, inode, first, last] =
      / (READ|WRITE) +(\d+) ([0-9a-f]+:[0-9a-f]+):(\d+) (\d+) (\d+)/.exec(line) ?? [];
    if ((mode !== 'READ' && mode !== 'WRITE') || device === undefined) return [];
    return [{ mode, pid: Number(pid), device, inode: Number(inode), bytes: [Number(first), Number(last)] }];
  });
}

/** Those of the locks that are on a file. On some file systems (btrfs) `stat` tells of another device than the kernel. */
export function locksOn(
  locks: readonly RecordLock[],
  { dev, ino }: { dev: number; ino: number },
): RecordLock[] {
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const device = [major, minor].map((number) => number.toString(16).padStart(2, '0')).join(':');
  const same = locks.filter(({ inode }) => inode === ino);
  const here = same.filter((lock) => lock.device === device);
  return here.length > 0 ? here : same;
}

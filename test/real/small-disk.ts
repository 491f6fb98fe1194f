import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../../src/errors.ts';

/** A disk of its own, of a few megabytes; mounting it needs root, as test/all has. */
export type SmallDisk = {
  /** Where it is mounted. */
  folder: string;
  /** Takes all room that is left. */
  fill: () => void;
  /** Gives it back. */
  empty: () => void;
  [Symbol.dispose]: () => void;
};

/**
 * Mounts a disk.
 * @param at where; a folder of its own when left out
 * @param megabytes its size
 */
export function smallDisk({ at, megabytes = 8 }: { at?: string; megabytes?: number } = {}): SmallDisk {
  const folder = at ?? mkdtempSync(join(tmpdir(), 'small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0777`, 'tmpfs', folder]);
  const others = join(folder, 'others');
  return {
    folder,
    fill: () => {
      const { bavail, bsize } = statfsSync(folder);
      // Others may write at the same time; the rest goes by in small pieces.
      const most = Math.max(0, bavail * bsize - 2 ** 20);
      if (most > 0) execFileSync('fallocate', ['--length', String(most), others]);
      const handle = openSync(others, 'a');
      try {
        for (;;) writeSync(handle, Buffer.alloc(4_096));
      } catch (error) {
        if (codeOf(error) !== 'ENOSPC') throw error;
      } finally {
        closeSync(handle);
      }
    },
    empty: () => rmSync(others, { force: true }),
    [Symbol.dispose]: () => {
      execFileSync('umount', ['--lazy', folder]);
      if (at === undefined) rmSync(folder, { recursive: true });
    },
  };
}

import { stat, statfs } from 'node:fs/promises';
import prettyBytes from 'pretty-bytes';
import type { Finding } from './finding.ts';

/** Below this a disk counts as full: the next push may not fit. Bytes. */
const full = 1024 ** 2;
/** A disk with more than this free is not nearly full, however large it is. Bytes. */
const plenty = 10 * 1024 ** 3;

/** What is wrong with the room on a folder's disk. @param title what an operator calls it, `The disk of …` */
export async function lookAtDisk(folder: string, title: string): Promise<Finding[]> {
  const { bavail, blocks, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const about = { about: 'disk', next: 'Make room there; what was held back is then sent by itself.' };
  if (free < full) return [{ ...about, level: 'red', what: `${title} ${folder} is full.` }];
  if (free < plenty && bavail < blocks / 20)
    return [
      {
        ...about,
        level: 'yellow',
        what: `${title} ${folder} is nearly full: ${prettyBytes(free)} are left.`,
      },
    ];
  return [];
}

/** The same for several folders: each disk once, under the first one's name. */
export async function lookAtDisks(folders: readonly string[]): Promise<Finding[]> {
  const disks = await Promise.all(
    folders.map(async (folder) => ({ folder, disk: (await stat(folder)).dev })),
  );
  const first = disks.filter(({ disk }, index) => disks.findIndex((other) => other.disk === disk) === index);
  return (await Promise.all(first.map(({ folder }) => lookAtDisk(folder, 'The disk of')))).flat();
}

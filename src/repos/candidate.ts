import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { codeOf, isBusy } from '../errors.ts';
import { hasFossilTables } from './file.ts';
import { openRepository } from './open.ts';

/**
 * What was put into the folder of repositories:
 * - `incomplete`: still being copied, or made right now; look again later, and give up when it doesn't grow;
 * - `busy`: locked by somebody who is writing to it; look again later;
 * - `unreadable`: belongs to somebody else, and needs the right owner first;
 * - `special`: a folder, device, socket or pipe.
 */
export type Candidate =
  | 'repository'
  | 'not-a-repository'
  | 'incomplete'
  | 'busy'
  | 'unreadable'
  | 'symlink'
  | 'special'
  | 'missing';

/** Looks at a file that somebody put there, without following a link, writing to it or waiting for it. */
export function inspectCandidate(path: string): Candidate {
  try {
    const entry = lstatSync(path);
    if (entry.isSymbolicLink()) return 'symlink';
    if (!entry.isFile()) return 'special';
    const header = inspectHeader(path);
    return header === 'whole' ? inspectTables(path) : header;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'missing';
    if (codeOf(error) === 'ELOOP') return 'symlink';
    if (codeOf(error) === 'EACCES') return 'unreadable';
    throw error;
  }
}

const magic = Buffer.from('SQLite format 3\0');

/** SQLite's header (fileformat2.html, 1.3): page size at 16, change counter at 24, pages at 28, whose counter is at 92. */
function inspectHeader(path: string): 'whole' | 'incomplete' | 'not-a-repository' {
  const handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const header = Buffer.alloc(100);
    const length = readSync(handle, header, 0, header.length, 0);
    const { size } = fstatSync(handle);
    if (length < header.length)
      return header.subarray(0, Math.min(length, magic.length)).equals(magic.subarray(0, length))
        ? 'incomplete'
        : 'not-a-repository';
    if (!header.subarray(0, magic.length).equals(magic)) return 'not-a-repository';
    const written = header.readUInt16BE(16);
    const pageSize = written === 1 ? 65_536 : written;
    const pages = header.readUInt32BE(28);
    const counted = header.readUInt32BE(24) === header.readUInt32BE(92);
    return counted && size < pages * pageSize ? 'incomplete' : 'whole';
  } finally {
    closeSync(handle);
  }
}

function inspectTables(path: string): Candidate {
  try {
    using database = openRepository(path, { readOnly: true, timeout: 0 });
    const complete =
      hasFossilTables(database) &&
      database.prepare("SELECT 1 FROM config WHERE name = 'project-code'").get() !== undefined;
    return complete ? 'repository' : 'not-a-repository';
  } catch (error) {
    // Locked: `fossil init` or a copy with SQLite is at work. Anything else that SQLite says: it is no database.
    if (isBusy(error)) return 'busy';
    return 'not-a-repository';
  }
}

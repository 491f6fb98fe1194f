import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { pathsUnder } from '../config/paths.ts';
import { codeOf, messageOf, OperatorError } from '../errors.ts';
import type { GlobalOptions } from '../server.ts';

/**
 * Root's one-shot: gives the files that the loop named in `/run` to the service user, so that they can be served and replicated.
 * The requests are only names: the file is opened without following a link, and must be a regular file with one link in the folder
 * of repositories. Whatever else it may be stays as it is.
 * @throws OperatorError when the system refuses, after all others were given
 */
export function takeOwnership(options: GlobalOptions): void {
  const paths = pathsUnder(options.root);
  const { uid, gid } = statSync(paths.repos);
  const problems: string[] = [];
  for (const request of readdirSync(paths.requests)) {
    // The request goes first: one that comes while we work starts us again.
    rmSync(join(paths.requests, request), { recursive: true, force: true });
    const name = decoded(request);
    if (name === undefined) continue;
    try {
      give(join(paths.repos, basename(name)), uid, gid);
    } catch (error) {
      // One that can't be given away, on a read-only mount say, keeps no other one.
      problems.push(messageOf(error));
    }
  }
  if (problems.length > 0)
    throw new OperatorError(`Files in ${paths.repos} can't be given to its owner: ${problems.join('; ')}.`, {
      next: 'Put copies there instead, or move them away.',
    });
}

function give(file: string, uid: number, gid: number): void {
  let handle: number;
  try {
    handle = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENXIO', 'EACCES'].includes(codeOf(error) ?? '')) return;
    throw error;
  }
  try {
    const { nlink } = fstatSync(handle);
    if (!fstatSync(handle).isFile() || nlink !== 1) return;
    fchownSync(handle, uid, gid);
    fchmodSync(handle, 0o660);
  } finally {
    closeSync(handle);
  }
}

/** Fossil's user may write requests, too: one that makes no sense is none. */
function decoded(request: string): string | undefined {
  try {
    return decodeURIComponent(request);
  } catch {
    return undefined;
  }
}

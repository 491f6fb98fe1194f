import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { codeOf } from '../errors.ts';

/** Replaces a file's content in one step: a reader, or a crash, sees the old or the new one whole. */
export function writeAtomic(
  path: string,
  content: string | Buffer,
  mode: number,
  owner?: { uid: number; gid: number },
): void {
  writeFileAtomic.sync(path, content, { mode, ...(owner && { chown: owner }) });
}

/** A file's text, or undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** A file's size in bytes; 0 when it isn't there. */
export const sizeIfThere = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Whether a path is a folder or below it, by their names alone. */
export const isWithin = (path: string, folder: string): boolean =>
  `${path}/`.startsWith(folder === '/' ? folder : `${folder}/`);

/** A piece of a file, shorter when the file ends before. @throws Error with the system's code, as `ENOENT` */
export function readPiece(path: string, position: number, length: number): Buffer {
  const handle = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(handle, bytes, 0, length, position));
  } finally {
    closeSync(handle);
  }
}

/** Moves a file within one file system, durably: after a power loss it is at one of both places. */
export function moveDurably(from: string, to: string): void {
  renameSync(from, to);
  for (const folder of new Set([dirname(from), dirname(to)])) flush(folder);
}

/** Gives a file a second name within one file system, durably. What had that name goes. */
export function linkDurably(file: string, name: string): void {
  rmSync(name, { force: true });
  linkSync(file, name);
  flush(dirname(name));
}

function flush(folder: string): void {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** A folder that only we can enter, on the system's own disk; gone when the work ends. */
export async function withTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'fossilrepo-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

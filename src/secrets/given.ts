import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { codeOf, OperatorError } from '../errors.ts';
import { parseStorageCredentials, type StorageCredentials } from './storage.ts';

/** Storage keys from a file that the operator names, `-` for standard input. @throws OperatorError (usage, configuration) */
export function readStorageKeys(file: string): StorageCredentials {
  try {
    return parseStorageCredentials(
      readFileSync(file === '-' ? 0 : file, 'utf8'),
      file === '-' ? 'standard input' : file,
    );
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new OperatorError(`There is no file ${file}.`, {
      next: 'Give a file in the format of ~/.aws/credentials, or - for standard input.',
      exit: 'usage',
    });
  }
}

/** The storage keys that are in place. Only root, or the server's owner, can read them. */
export function storedKeys(paths: Pick<Paths, 'secrets'>): StorageCredentials | undefined {
  const file = join(paths.secrets, 'storage');
  return existsSync(file) ? readStorageKeys(file) : undefined;
}

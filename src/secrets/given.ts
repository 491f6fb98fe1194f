import { readFileSync } from 'node:fs';
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

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { codeOf, OperatorError } from '../errors.ts';
import { type Secret, secret } from './secret.ts';
import { parseStorageCredentials, type StorageCredentials } from './storage.ts';

/** Storage keys from a file that the operator names, `-` for standard input. @throws OperatorError (usage, configuration) */
export const readStorageKeys = (file: string): StorageCredentials =>
  parseStorageCredentials(
    readGiven(file, 'Give a file in the format of ~/.aws/credentials'),
    file === '-' ? 'standard input' : file,
  );

/** The recovery key from a file that the operator names, `-` for standard input. @throws OperatorError (usage) */
export const readRecoveryKey = (file: string): Secret =>
  secret(readGiven(file, 'Give a file with the line AGE-SECRET-KEY-1…').trim());

/** A token from standard input. @throws OperatorError (usage) when it is empty, or more than one line */
export function readToken(): Secret {
  const token = readFileSync(0, 'utf8').trim();
  if (/^[^\s\p{Cc}]+$/u.test(token)) return secret(token);
  throw new OperatorError('Standard input holds no token: one line without spaces is expected.', {
    exit: 'usage',
  });
}

/** What comes on standard input is one token: for git, or for a host's API alone. @throws OperatorError (usage) */
export function givenTokens(flags: { tokenStdin: boolean; apiTokenStdin: boolean }): {
  token: Secret | undefined;
  apiToken: Secret | undefined;
} {
  if (flags.tokenStdin && flags.apiTokenStdin)
    throw new OperatorError('Standard input holds one token.', {
      next: 'Say --token-stdin or --api-token-stdin; what git signs in with is used for the API, too.',
      exit: 'usage',
    });
  return {
    token: flags.tokenStdin ? readToken() : undefined,
    apiToken: flags.apiTokenStdin ? readToken() : undefined,
  };
}

function readGiven(file: string, what: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new OperatorError(`There is no file ${file}.`, {
      next: `${what}, or - for standard input.`,
      exit: 'usage',
    });
  }
}

/** The storage keys that are in place. Only root, or the server's owner, can read them. */
export function storedKeys(paths: Pick<Paths, 'secrets'>): StorageCredentials | undefined {
  const file = join(paths.secrets, 'storage');
  return existsSync(file) ? readStorageKeys(file) : undefined;
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { codeOf, OperatorError } from '../errors.ts';
import { type InstanceKey } from './seal.ts';
import { secret } from './secret.ts';
import { parseStorageCredentials, type StorageCredentials } from './storage.ts';

export type Secrets = {
  instanceKey: InstanceKey;
  /** Undefined when the replica needs none: a directory. */
  storage: StorageCredentials | undefined;
};

/** The files in the secrets folder; systemd hands the same names to units as credentials. */
export const secretFiles = { instanceKey: 'instance-key', storage: 'storage' } as const;

/**
 * Reads the secrets: below `$CREDENTIALS_DIRECTORY` in a unit, else from the secrets folder.
 * @throws OperatorError when the instance key is missing, unreadable or no key
 */
export function loadSecrets(paths: Pick<Paths, 'secrets'>, environment = process.env): Secrets {
  const given = environment['CREDENTIALS_DIRECTORY'];
  const folder = given === undefined || given === '' ? paths.secrets : given;
  const keyFile = join(folder, secretFiles.instanceKey);
  const key = readSecret(keyFile)?.trim();
  if (key === undefined)
    throw new OperatorError(`There is no instance key ${keyFile}.`, {
      next: 'Run fossilrepo install; on a server that was moved, bring the key along: without it no token can be read.',
    });
  if (!/^[A-Za-z0-9+/]{43}=$/.test(key))
    throw new OperatorError(`${keyFile} is not a key: 32 bytes in base64 are expected.`, {
      exit: 'configuration',
    });
  const storageFile = join(folder, secretFiles.storage);
  const storage = readSecret(storageFile);
  return {
    instanceKey: secret(key),
    storage: storage === undefined ? undefined : parseStorageCredentials(storage, storageFile),
  };
}

function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'EACCES')
      throw new OperatorError(`${file} may not be read by this user.`, {
        next: 'Run the command with sudo.',
        cause: error,
      });
    throw error;
  }
}

/** Whether the replica's storage keys have been put in place. */
export const hasStorageKeys = (paths: Pick<Paths, 'secrets'>): boolean =>
  existsSync(join(paths.secrets, secretFiles.storage));

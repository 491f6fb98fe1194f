import { OperatorError } from '../errors.ts';
import { type Secret, secret } from './secret.ts';

/** The access key of the replica's S3-compatible storage. */
export type StorageCredentials = { id: string; secret: Secret };

/** The file `storage`: what the AWS tools call shared credentials, which Litestream reads too. */
export const renderStorageCredentials = (id: string, key: Secret): string =>
  `[default]\naws_access_key_id = ${oneLine(id)}\naws_secret_access_key = ${oneLine(key.reveal())}\n`;

/**
 * Reads a shared-credentials file: the `[default]` section, or what comes before any section.
 * @throws OperatorError (configuration) naming the key that is missing, never a value
 */
export function parseStorageCredentials(text: string, where: string): StorageCredentials {
  let section = 'default';
  const found = new Map<string, string>();
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    const heading = /^\[(.*)\]$/.exec(line);
    if (heading) section = (heading[1] ?? '').trim();
    const pair = /^([a-z_]+)\s*=\s*(.*)$/i.exec(line);
    if (pair && section === 'default') found.set((pair[1] ?? '').toLowerCase(), (pair[2] ?? '').trim());
  }
  const get = (key: string): string => {
    const value = found.get(key);
    if (!value)
      throw new OperatorError(`${where} has no ${key} under [default].`, {
        next: 'Write both keys of the storage into it, in the format of ~/.aws/credentials.',
        exit: 'configuration',
      });
    return value;
  };
  return { id: get('aws_access_key_id'), secret: secret(get('aws_secret_access_key')) };
}

function oneLine(value: string): string {
  if (/[\r\n]/.test(value) || value.trim() !== value || value === '')
    throw new OperatorError('A storage key is empty, or has spaces or line breaks around it.', {
      exit: 'usage',
    });
  return value;
}

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { OperatorError } from '../errors.ts';
import { type Secret, secret } from './secret.ts';

/** 32 random bytes that belong to this installation. */
export type InstanceKey = Secret;

const version = 'v1';
const nonceBytes = 12;
const tagBytes = 16;

/** A new instance key as the file `instance-key` holds it: base64, one line. */
export const newInstanceKey = (): string => `${randomBytes(32).toString('base64')}\n`;

/**
 * Encrypts with the instance key (AES-256-GCM): `v1.` and base64url of nonce, ciphertext and tag.
 * @param context what it is and whose, as `token:admin`; the same is needed to open it, so that a sealed value that is
 *   moved to another row does not open there
 */
export function seal(key: InstanceKey, context: string, text: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', bytesOf(key), nonce).setAAD(aad(context));
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${sealed.toString('base64url')}`;
}

/**
 * Opens what `seal` made.
 * @throws OperatorError when the key, the context or the text is another one; without telling which
 */
export function unseal(key: InstanceKey, context: string, sealed: string): Secret {
  const [prefix, encoded = ''] = sealed.split('.', 2);
  const bytes = Buffer.from(encoded, 'base64url');
  if (prefix !== version || bytes.length < nonceBytes + tagBytes) throw unreadable(context);
  const decipher = createDecipheriv('aes-256-gcm', bytesOf(key), bytes.subarray(0, nonceBytes))
    .setAAD(aad(context))
    .setAuthTag(bytes.subarray(-tagBytes));
  try {
    const open = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    return secret(open.toString('utf8'));
  } catch {
    throw unreadable(context);
  }
}

const aad = (context: string): Buffer => Buffer.from(`fossilrepo ${version} ${context}`);

function bytesOf(key: InstanceKey): Buffer {
  return Buffer.from(key.reveal(), 'base64');
}

const unreadable = (context: string): OperatorError =>
  new OperatorError(`${context} cannot be decrypted with this server's instance key.`, {
    next: 'Put the instance key that belongs to this database into the secrets folder, or make the value anew.',
  });

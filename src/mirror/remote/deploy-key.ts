import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type Secret, secret } from '../../secrets/secret.ts';

const type = 'ssh-ed25519';

/**
 * A new key pair for one mirror, in OpenSSH's own format (PROTOCOL.key in its source), without a passphrase: nobody is there to type one.
 * @param comment what the remote's owner reads behind the key, one line
 */
export function makeDeployKey(comment: string): { publicKey: string; privateKey: Secret } {
  const label = comment.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const open = Buffer.from(jwk.x ?? '', 'base64url');
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const publicBlob = Buffer.concat([field(type), field(open)]);
  const check = randomBytes(4);
  const inner = Buffer.concat([
    ...[check, check, field(type), field(open)],
    ...[field(Buffer.concat([seed, open])), field(label)],
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (inner.length % 8)) % 8 }, (_, index) => index + 1));
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...[field('none'), field('none'), field(''), number(1)],
    ...[field(publicBlob), field(Buffer.concat([inner, padding]))],
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    publicKey: `${type} ${publicBlob.toString('base64')} ${label}`,
    privateKey: secret(
      ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n'),
    ),
  };
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A length and so many bytes. */
function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length), bytes]);
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { loadSecrets } from '../../src/secrets/load.ts';
import { checkPassword, hashPassword, newPassword, newToken } from '../../src/secrets/passwords.ts';
import { newInstanceKey, seal, unseal } from '../../src/secrets/seal.ts';
import { secret } from '../../src/secrets/secret.ts';
import { parseStorageCredentials, renderStorageCredentials } from '../../src/secrets/storage.ts';

test('a secret never prints itself', () => {
  const key = secret('hunter2');
  const printed = [
    String(key),
    JSON.stringify({ key }),
    inspect({ key }, { depth: 9 }),
    { ...key }.toString(),
  ];
  expect(printed.join(' ')).not.toContain('hunter2');
  expect(String(key)).toBe('[secret]');
  expect(key.reveal()).toBe('hunter2');
});

describe('sealing', () => {
  const key = secret(newInstanceKey().trim());

  test('opens with the same key and context only', () => {
    const sealed = seal(key, 'token:admin', 'ünïcode');
    expect(sealed).toMatch(/^v1\.[\w-]+$/);
    expect(unseal(key, 'token:admin', sealed).reveal()).toBe('ünïcode');
    expect(seal(key, 'token:admin', 'ünïcode')).not.toBe(sealed);
    expect(() => unseal(key, 'token:eve', sealed)).toThrow('token:eve cannot be decrypted');
    expect(() => unseal(secret(newInstanceKey().trim()), 'token:admin', sealed)).toThrow(
      'cannot be decrypted',
    );
  });

  test.each(['', 'v1.', 'v1.AAAA', 'v2.AAAA', 'plain'])('refuses %j', (sealed) => {
    expect(() => unseal(key, 'c', sealed)).toThrow('cannot be decrypted');
  });

  test('notices a changed byte', () => {
    const bytes = Buffer.from(seal(key, 'c', 'text').slice(3), 'base64url');
    bytes[14] = (bytes[14] ?? 0) ^ 1;
    expect(() => unseal(key, 'c', `v1.${bytes.toString('base64url')}`)).toThrow('cannot be decrypted');
  });
});

describe('passwords', () => {
  test('are checked against their hash', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    expect(await checkPassword('correct horse', hash)).toBe(true);
    expect(await checkPassword('Correct horse', hash)).toBe(false);
    expect(await checkPassword('', hash)).toBe(false);
  });

  test.each(['', 'x', 'scrypt$32768$8$1$$', 'scrypt$9999999999$8$1$aaaa$' + 'a'.repeat(43)])(
    'a hash that cannot be read (%j) belongs to no password',
    async (hash) => expect(await checkPassword('', hash)).toBe(false),
  );

  test('that are made can be typed; tokens need no escaping', () => {
    expect(newPassword().reveal()).toMatch(/^([a-hj-km-np-z2-9]{7}-){2}[a-hj-km-np-z2-9]{7}$/);
    expect(21 * Math.log2(31)).toBeGreaterThan(100);
    expect(newToken().reveal()).toMatch(/^frt[0-9a-f]{40}$/);
    expect(newToken().reveal()).not.toBe(newToken().reveal());
  });
});

describe('the secrets folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });

  test('gives the instance key and the storage key; systemd may give it instead', () => {
    expect(() => loadSecrets({ secrets: folder }, {})).toThrow('no instance key');
    write('instance-key', 'short');
    expect(() => loadSecrets({ secrets: folder }, {})).toThrow('is not a key');
    const key = newInstanceKey();
    write('instance-key', key);
    expect(loadSecrets({ secrets: folder }, {}).storage).toBeUndefined();
    write('storage', renderStorageCredentials('AKID', secret('s/e+c=ret')));
    const loaded = loadSecrets({ secrets: '/nonexistent' }, { CREDENTIALS_DIRECTORY: folder });
    expect(loaded.instanceKey.reveal()).toBe(key.trim());
    expect(loaded.storage?.id).toBe('AKID');
    expect(loaded.storage?.secret.reveal()).toBe('s/e+c=ret');
    rmSync(folder, { recursive: true });
  });

  test('storage credentials are read as the AWS tools read them', () => {
    const text =
      '# c\n[other]\naws_access_key_id=no\n[default]\n aws_access_key_id=yes\nAWS_SECRET_ACCESS_KEY = k=k \n';
    const read = parseStorageCredentials(text, 'storage');
    expect([read.id, read.secret.reveal()]).toEqual(['yes', 'k=k']);
    expect(() => parseStorageCredentials('[default]\naws_access_key_id = hush\n', 'f')).toThrow(
      /^f has no aws_secret_access_key under \[default\]\.$/,
    );
    expect(() => renderStorageCredentials('a', secret('b\nc'))).toThrow('line breaks');
  });
});

import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { randomBytes } from 'node:crypto';
import { writeAtomic } from '../system/files.ts';

/** Makes the key that seals what the management database keeps secret; never replaces one. 32 bytes, base64. */
export function makeInstanceKey(path: string): void {
  if (existsSync(path)) return;
  writeAtomic(path, `${randomBytes(32).toString('base64')}\n`, 0o600);
}

/** Keeps the storage's keys, for root alone; units get them as credentials. */
export function writeStorageKeys(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeAtomic(path, text, 0o600);
}

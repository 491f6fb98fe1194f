import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programHome } from '../config/paths.ts';

/** fossilrepo's own version, from package.json. */
export function ownVersion(): string {
  const read: unknown = JSON.parse(readFileSync(join(programHome, 'package.json'), 'utf8'));
  return read !== null && typeof read === 'object' && 'version' in read ? String(read.version) : 'unknown';
}

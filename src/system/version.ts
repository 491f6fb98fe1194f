import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { programHome } from '../config/paths.ts';
import { readIfThere } from './files.ts';

/** fossilrepo's own version, from package.json. */
export const ownVersion = manifest.version;

/** Which program this is: its version, and the digest that install.sh gave it. In a checkout there is none. */
export function ownRelease(): string {
  const digest = readIfThere(join(programHome, '.release'))?.trim();
  return digest === undefined ? ownVersion : `${ownVersion}-${digest}`;
}

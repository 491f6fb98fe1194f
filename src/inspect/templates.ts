import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programHome } from '../config/paths.ts';
import type { Templates } from '../plan/server.ts';

/** The texts of `templates/`, by file name. */
export function readTemplates(): Templates {
  const folder = join(programHome, 'templates');
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

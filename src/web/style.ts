import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The pages' one style sheet. */
export const style = readFileSync(join(import.meta.dirname, 'style.css'), 'utf8');

/** Its address, which changes with it, so that browsers may keep it for ever. */
export const stylePath = `/style-${createHash('sha256').update(style).digest('hex').slice(0, 16)}.css`;

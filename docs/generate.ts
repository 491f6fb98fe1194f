import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJsonSchema } from '../src/config/json-schema.ts';
import { configManual } from '../src/config/manual.ts';

// `npm run docs`: what follows from the program. The unit tests compare it.
writeFileSync(join(import.meta.dirname, 'configure.md'), configManual());
writeFileSync(join(import.meta.dirname, 'fossilrepo.schema.json'), configJsonSchema());

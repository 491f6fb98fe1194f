import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCli } from '../src/cli.ts';
import { configJsonSchema } from '../src/config/json-schema.ts';
import { configManual } from '../src/config/manual.ts';
import { commandReference } from './reference.ts';

// `npm run docs`: what follows from the program. The unit tests compare it.
const write = (name: string, text: string) => writeFileSync(join(import.meta.dirname, name), text);
write('configure.md', configManual());
write('fossilrepo.schema.json', configJsonSchema());
write('reference.md', commandReference(buildCli()));

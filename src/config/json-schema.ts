import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The JSON Schema of `fossilrepo.yaml`, for editors. `docs/fossilrepo.schema.json` is this, and a test compares it. */
export function configJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(configSchema, { io: 'input' }), null, 2)}\n`;
}

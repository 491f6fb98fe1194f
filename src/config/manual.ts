import { z } from 'zod';
import { configSchema } from './schema.ts';

type Described = {
  description?: string;
  default?: unknown;
  enum?: unknown[];
  properties?: Record<string, Described>;
};

const introduction = `# fossilrepo.yaml

What this server shall be stands in one file, \`/etc/fossilrepo/fossilrepo.yaml\`. After a change:

    fossilrepo diff     # what would be different, file by file
    fossilrepo apply    # make it so; restarts only what has to be

A mistake is told with its line, and nothing is changed. All keys are optional;
[fossilrepo.example.yaml](fossilrepo.example.yaml) has each of them, [fossilrepo.schema.json](fossilrepo.schema.json)
tells editors. Storage keys are not in this file: see [install.md](install.md).

| key | default | meaning |
|---|---|---|
`;

/** `docs/configure.md`: every key with its default and meaning, from the schema; a test compares it. */
export function configManual(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Described;
  return `${introduction}${rows('', schema).join('\n')}\n`;
}

function rows(prefix: string, { properties = {} }: Described): string[] {
  return Object.entries(properties).flatMap(([name, key]) => {
    const path = `${prefix}${name}`;
    if (key.properties) return rows(`${path}.`, key);
    const choices = key.enum ? ` One of ${key.enum.map(String).join(', ')}.` : '';
    return [
      `| \`${path}\` | ${key.default === undefined ? '' : `\`${JSON.stringify(key.default).replaceAll('"', '')}\``} | ${key.description ?? ''}${choices} |`,
    ];
  });
}

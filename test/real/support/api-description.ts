import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { z } from 'zod';

const description = z.object({
  source: z.string(),
  /** What any operation may answer besides its own, by status. */
  everywhere: z.record(z.string(), z.looseObject({})),
  operations: z.record(
    z.string(),
    z.object({
      parameters: z.array(
        z.object({ name: z.string(), in: z.string(), required: z.boolean(), schema: z.looseObject({}) }),
      ),
      body: z.looseObject({}).optional(),
      answers: z.record(z.string(), z.looseObject({})),
    }),
  ),
  schemas: z.record(z.string(), z.looseObject({})),
});

type Schema = Record<string, unknown>;

/** Finds out which operation of a host's published API a request is, and whether it and its answer are as described. */
export type ApiDescription = ReturnType<typeof apiDescription>;

/** @param name of a file in `api/`, which says where it comes from */
export function apiDescription(name: 'github' | 'gitlab' | 'gitea') {
  const file = new URL(`api/${name}.json`, import.meta.url);
  const { everywhere, operations, schemas } = description.parse(JSON.parse(readFileSync(file, 'utf8')));
  const ajv = new Ajv({ strict: false, allErrors: true, coerceTypes: false, validateFormats: false });
  const fromText = new Ajv({ strict: false, coerceTypes: true, validateFormats: false });
  const compiled = new Map<Schema, ValidateFunction>();
  const check = (schema: Schema, value: unknown, how: Ajv): string[] => {
    const known = compiled.get(schema) ?? how.compile({ ...schema, schemas });
    compiled.set(schema, known);
    if (known(value)) return [];
    return (known.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
  };
  const patterns = Object.keys(operations).map((key) => {
    const [method = '', path = ''] = key.split(' ');
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, one = '']) => one);
    return { key, method, names, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`) };
  });
  return {
    /** The operation's key, as `GET /user`, and what stands in the path's holes. */
    find: (method: string, path: string): { key: string; at: Record<string, string> } | undefined => {
      for (const one of patterns) {
        const found = one.method === method ? one.pattern.exec(path) : null;
        if (!found) continue;
        const values = found.slice(1).map(decodeURIComponent);
        return { key: one.key, at: Object.fromEntries(one.names.map((name, n) => [name, values[n] ?? ''])) };
      }
      return undefined;
    },
    /** What is wrong with a request. Properties and parameters that are not described are wrong, too. */
    request: (key: string, at: Record<string, string>, query: URLSearchParams, body: unknown): string[] => {
      const operation = operations[key];
      if (!operation) return [`${key} is not described`];
      const wrong = operation.parameters.flatMap(({ name, in: where, required, schema }) => {
        const value = where === 'path' ? at[name] : (query.get(name) ?? undefined);
        if (value === undefined) return required ? [`${name} is missing`] : [];
        // Lists are one text, with commas.
        const given = schema['type'] === 'array' ? value.split(',') : value;
        return check(schema, given, fromText).map((text) => `${name}=${value}: ${text}`);
      });
      const known = new Set(operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name));
      const strange = [...query.keys()].filter((name) => !known.has(name));
      return [
        ...wrong,
        ...strange.map((name) => `the parameter ${name} is not described`),
        ...(operation.body ? bodyOf(operation.body, body) : body === undefined ? [] : ['it takes no body']),
      ];
    },
    /** What is wrong with an answer, also with one that refuses. */
    answer: (key: string, status: number, body: unknown): string[] => {
      const schema = operations[key]?.answers[String(status)] ?? everywhere[String(status)];
      return schema ? check(schema, body, ajv) : [`${key} does not answer ${status}`];
    },
  };

  function bodyOf(schema: Schema, body: unknown): string[] {
    const reference = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined;
    const own = reference === undefined ? schema : schemas[reference];
    const properties = own?.['properties'];
    const strange =
      typeof properties === 'object' && properties !== null && typeof body === 'object' && body !== null
        ? Object.keys(body).filter((name) => !(name in properties))
        : [];
    return [...check(schema, body, ajv), ...strange.map((name) => `the property ${name} is not described`)];
  }
}

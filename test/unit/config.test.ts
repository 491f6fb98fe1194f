import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { answeredConfig, firstConfig } from '../../src/config/answers.ts';
import { parseConfig } from '../../src/config/config.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { configManual } from '../../src/config/manual.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { OperatorError } from '../../src/errors.ts';

const paths = pathsUnder('/');
const docs = (name: string) => readFileSync(join(programHome, 'docs', name), 'utf8');

function mistakesIn(text: string): string {
  try {
    parseConfig(text, paths);
  } catch (error) {
    if (error instanceof OperatorError && error.exit === 'configuration') return error.message;
    throw error;
  }
  throw new Error('this configuration was accepted');
}

/** The keys of a fossilrepo.yaml that have a comment right above them, as `section.key`. */
function commented(text: string): string[] {
  let section = '';
  return text.split('\n').flatMap((line, index, lines) => {
    const [, indent, key] = /^( *)(\w+):/.exec(line) ?? [];
    if (indent === undefined || key === undefined) return [];
    if (indent === '') section = key;
    const above = lines[index - 1] ?? '';
    return above.startsWith(`${indent}# `) ? [indent === '' ? key : `${section}.${key}`] : [];
  });
}

describe('fossilrepo.yaml', () => {
  test('empty, it is a local forge with a replica beside it', () => {
    const config = parseConfig('', paths);
    expect(config).toMatchObject({
      domain: 'localhost',
      local: true,
      tls: 'off',
      listen: ['127.0.0.1', '::1'],
    });
    expect(config.replica).toMatchObject({
      url: 'file:///var/backups/fossilrepo',
      exact: 7 * 86_400_000,
      maxAge: 10_000,
    });
  });

  test('a domain alone means certificates by ACME on all addresses', () => {
    expect(parseConfig('domain: forge.example.com', paths)).toMatchObject({
      tls: 'auto',
      local: false,
      listen: ['0.0.0.0', '::'],
    });
  });

  test.each([
    ['domain: Forge.example.com', ':1: domain: must be a domain in lower case'],
    ['domain: https://forge.example.com', ':1: domain: must be a domain'],
    ['a: 1\ndomian: x', ':2: there is no key domian'],
    ['replica:\n  exact: 7 days', ':2: replica.exact: must be a number and a unit'],
    ['replica:\n  exact: 60d', ':2: replica.exact must not be longer than replica.window'],
    ['replica:\n  exact: 1h\n  step: 2h', ':3: replica.step must be between 30s and replica.exact'],
    ['replica:\n  step: 10s', ':2: replica.step must be between 30s and replica.exact'],
    ['replica:\n  url: s3://key:secret@bucket/x', ':2: replica.url: must be'],
    ['ports:\n  http: 80\n  https: 80', ':3: ports.https is 80, as ports.http is'],
    ['tls: auto', 'tls auto needs a public domain; localhost can have internal or off'],
    ['domain: forge\ntls: auto', 'auto needs a public domain'],
    ['acme:\n  roots: /x.pem', 'says nothing without acme.directory'],
    ['domain: [', ':1:'],
    ['programs:\n  caddy: caddy', ':2: programs.caddy: must be an absolute path'],
  ])('%j is refused with its line', (text, message) => {
    expect(mistakesIn(text)).toContain(message);
  });

  test('all mistakes are told at once', () => {
    expect(mistakesIn('domain: X\nemail: nobody\nfoo: 1').split('\n')).toHaveLength(3);
  });

  test('the example has every key, each below a comment of its own, and is accepted', () => {
    const text = docs('fossilrepo.example.yaml');
    parseConfig(text, paths);
    const schema = JSON.parse(configJsonSchema()) as { properties: Record<string, { properties?: object }> };
    const keys = Object.entries(schema.properties).flatMap(([key, { properties }]) => [
      key,
      ...Object.keys(properties ?? {}).map((inner) => `${key}.${inner}`),
    ]);
    expect(keys.filter((key) => !commented(text).includes(key))).toEqual([]);
  });

  test('the JSON Schema in docs is the one of the program', () => {
    expect(docs('fossilrepo.schema.json')).toBe(configJsonSchema());
  });

  test('docs/configure.md describes every key', () => {
    expect(docs('configure.md')).toBe(configManual());
  });
});

describe('answers', () => {
  test('change only what they are about, and keep comments', () => {
    const text = '# mine\ndomain: a.example.com # the old one\nreplica:\n  window: 60d\n';
    const changed = answeredConfig(text, { domain: 'b.example.com', replica: 's3://bucket/p' });
    expect(changed).toContain('# mine');
    expect(changed).toContain('domain: b.example.com # the old one');
    expect(parseConfig(changed, paths).replica).toMatchObject({
      url: 's3://bucket/p',
      window: 60 * 86_400_000,
    });
  });

  test('none leave the text as it is', () => {
    const text = 'domain:   a.example.com\n';
    expect(answeredConfig(text, { domain: 'a.example.com' })).toBe(text);
  });

  test('for a new server make a file that is accepted', () => {
    expect(parseConfig(answeredConfig(undefined, {}), paths).domain).toBe('localhost');
  });
});

describe('a server that nobody described', () => {
  test('is a local one on the usual ports when root starts it', () => {
    expect(parseConfig(firstConfig(true), paths)).toEqual(parseConfig('', paths));
  });

  test('differs for an ordinary user in its ports alone, each of which that user may open', () => {
    const { ports, ...rest } = parseConfig(firstConfig(false), paths);
    const { ports: usual, ...usualRest } = parseConfig('', paths);
    expect(rest).toEqual(usualRest);
    expect(ports).toEqual({ ...usual, http: 8080, https: 8443, repositories: 8081 });
    expect(Math.min(...Object.values(ports))).toBeGreaterThan(1023);
  });
});

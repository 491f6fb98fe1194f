import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { programHome } from '../../src/config/paths.ts';
import { missingKeys, renderLitestreamConfig } from '../../src/plan/litestream.ts';
import {
  litestreamCheck,
  litestreamEnvironment,
  litestreamReplicate,
  readLitestreamCheck,
  readLitestreamVersion,
} from '../../src/programs/litestream.ts';

const template = readFileSync(join(programHome, 'templates/litestream.yml'), 'utf8');
const day = 86_400_000;
const view = {
  socket: '/run/fossilrepo/litestream/control.sock',
  exact: 7 * day,
  window: 30 * day,
  step: 300_000,
  databases: [],
};

describe('the configuration', () => {
  test('names every database with its replica and the intervals', () => {
    const url = 's3://b/p/i/repos/1?region=us-east-1';
    const text = renderLitestreamConfig(template, {
      ...view,
      databases: [{ file: '/data/a "b" $c: #d', url }],
    });
    expect(parse(text)).toMatchObject({
      socket: { enabled: true, path: view.socket },
      logging: { level: 'warn', type: 'json', stderr: true },
      levels: [{ interval: '300s' }, { interval: '3600s' }],
      'l0-retention': '604800s',
      'l0-retention-check-interval': '75600s',
      snapshot: { interval: '24h', retention: '2592000s' },
      dbs: [{ path: '/data/a "b" $c: #d', replica: { url } }],
    });
  });

  test('gives the socket to its group only', () => {
    expect(renderLitestreamConfig(template, view)).toContain('permissions: 0660\n');
  });

  test('may have no database at all', () => {
    expect(parse(renderLitestreamConfig(template, view))).toMatchObject({ dbs: [] });
  });

  test('of the template as it comes lacks nothing; a mistyped key is named', () => {
    expect(missingKeys(template)).toEqual([]);
    for (const [key, path] of [
      ['l0-retention:', 'l0-retention'],
      ['retention: <%= it.window', 'snapshot.retention'],
      ['dbs:', 'dbs.0.path'],
      ['url:', 'dbs.0.replica.url'],
    ] as const) {
      expect(template).toContain(key);
      expect(missingKeys(template.replace(key, `x${key}`))).toContain(path);
    }
  });

  test('does not depend on the order of the databases', () => {
    const [a, b] = [
      { file: '/a', url: 'file:///r/2' },
      { file: '/b', url: 'file:///r/1' },
    ];
    expect(renderLitestreamConfig(template, { ...view, databases: [a, b] })).toBe(
      renderLitestreamConfig(template, { ...view, databases: [b, a] }),
    );
  });

  test('merges more seldom with a longer step', () => {
    expect(parse(renderLitestreamConfig(template, { ...view, step: 900_000 }))).toMatchObject({
      levels: [{ interval: '900s' }, { interval: '10800s' }],
    });
  });

  test('looks for what is to be removed more often when little is kept', () => {
    const text = renderLitestreamConfig(template, { ...view, exact: 3_600_000 });
    expect(parse(text)).toMatchObject({ 'l0-retention': '3600s', 'l0-retention-check-interval': '450s' });
  });
});

describe('the program', () => {
  test('takes dollar signs in its file as they are', () => {
    expect(litestreamReplicate('/x/litestream', '/c.yml').argv).toEqual([
      '/x/litestream',
      'replicate',
      '-no-expand-env',
      '-config',
      '/c.yml',
    ]);
    expect(litestreamCheck('/x/litestream', '/c.yml').argv).toEqual([
      '/x/litestream',
      'databases',
      '-no-expand-env',
      '-json',
      '-config',
      '/c.yml',
    ]);
  });

  test('says its version with and without a v', () => {
    expect(readLitestreamVersion('0.5.17\n')).toBe('0.5.17');
    expect(readLitestreamVersion('v0.5.18')).toBe('0.5.18');
    expect(() => readLitestreamVersion('(development build)')).toThrow('(development build)');
  });

  test('finds keys in a file only, and never asks a cloud', () => {
    expect(litestreamEnvironment('/cred')).toEqual({
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/cred',
    });
  });

  test('is believed only when it saw just the databases that were meant', () => {
    const stdout = JSON.stringify([{ path: '/a', replica: 'file' }]);
    expect(() => readLitestreamCheck(stdout, ['/a'])).not.toThrow();
    expect(() => readLitestreamCheck(stdout, ['/a', '/b'])).toThrow('/b');
    expect(() => readLitestreamCheck(stdout, [])).toThrow('/a');
    expect(() => readLitestreamCheck('', ['/a'])).toThrow('does not say');
  });
});

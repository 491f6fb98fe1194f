import { describe, expect, test } from 'vitest';
import {
  fossilClone,
  fossilInit,
  fossilServer,
  isOlder,
  readFossilVersion,
} from '../../src/programs/fossil.ts';
import { databaseErrors, readTestIntegrity } from '../../src/programs/fossil-integrity.ts';
import { secret } from '../../src/secrets/secret.ts';

const version = (
  number: string,
  tcl = '',
) => `This is fossil version ${number} [3c53b6364e] 2023-02-26 19:24:24 UTC
SQLite 3.41.0 2023-02-21 18:09:37 05941c2a04
${tcl}`;

describe('commands', () => {
  test('the server listens on this machine only, lists nothing and signs nobody in', () => {
    const { argv } = fossilServer('fossil', { repos: '/data/repos', port: 8081 });
    expect(argv).toEqual(['fossil', 'server', '--localhost', '--port', '8081', '--nojail', '/data/repos']);
  });

  test('a new repository names its user, which a service has none of', () => {
    const { argv, env } = fossilInit('fossil', {
      file: '/w/x',
      adminUser: 'admin',
      name: 'demo',
      home: '/h',
    });
    expect(argv).toEqual(['fossil', 'init', '--admin-user', 'admin', '--project-name', 'demo', '/w/x']);
    expect(env).toEqual({ FOSSIL_HOME: '/h', HOME: '/h', USER: 'fossilrepo' });
  });

  test('a clone has its address on standard input', () => {
    const { argv, input } = fossilClone('fossil', {
      url: secret('https://a:b@h/'),
      file: '/w/x',
      adminUser: 'admin',
      home: '/h',
    });
    expect(argv).toEqual(['fossil', 'clone', '--args', '-']);
    expect(input?.split('\n').slice(-2)).toEqual(['https://a:b@h/', '/w/x']);
  });
});

describe('versions', () => {
  test('are read with whether Tcl is in it', () => {
    expect(readFossilVersion(version('2.21'))).toEqual({ version: [2, 21], tcl: false });
    expect(readFossilVersion(version('2.28', 'TCL (Tcl 8.6.0, loaded TH_OK: 8.6.13)'))).toEqual({
      version: [2, 28],
      tcl: true,
    });
    expect(() => readFossilVersion(version('2.9'))).toThrow('2.21 is needed');
    expect(() => readFossilVersion('hello')).toThrow('does not say');
  });

  test('are compared as numbers', () => {
    expect(isOlder([2, 9], [2, 21])).toBe(true);
    expect(isOlder([3, 0], [2, 27])).toBe(false);
    expect(isOlder([2, 27], [2, 27])).toBe(false);
  });
});

describe('test-integrity', () => {
  test('is believed by its words, not its exit code', () => {
    const said =
      '  1/3\r  2/3\rwrong hash on artifact 2\n  3/3\rsize mismatch on artifact 3: wanted 5 but got 4\n';
    expect(readTestIntegrity(`${said}3 non-phantom blobs (out of 4 total) checked:  2 errors\n`)).toEqual({
      artifacts: 3,
      errors: ['wrong hash on artifact 2', 'size mismatch on artifact 3: wanted 5 but got 4'],
    });
    expect(
      readTestIntegrity('  1/1\r1 non-phantom blobs (out of 1 total) checked:  0 errors\n').errors,
    ).toEqual([]);
  });

  test('that counts more than it names is believed, too', () => {
    expect(readTestIntegrity('2 non-phantom blobs (out of 2 total) checked:  2 errors').errors).toHaveLength(
      1,
    );
  });

  test('ends with what SQLite found; without that nothing is known of the database', () => {
    const said = '1 non-phantom blobs (out of 1 total) checked:  0 errors\n';
    expect(databaseErrors(`${said}low-level database integrity-check: ok\n`)).toEqual([]);
    expect(databaseErrors(`${said}low-level database integrity-check: *** in database main ***\n`)).toEqual([
      '*** in database main ***',
    ]);
    expect(databaseErrors(said)).toEqual([expect.stringContaining('ended before')]);
  });

  test('that stopped early is no answer', () => {
    expect(() => readTestIntegrity('  1/9\r  2/9\r')).toThrow('did not get to its end');
  });
});

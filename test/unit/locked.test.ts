import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { programHome } from '../../src/config/paths.ts';

const read = (file: string): string => readFileSync(join(programHome, file), 'utf8');

test('npm packages are named by exact versions', () => {
  const versions = z.record(z.string(), z.string());
  const { dependencies, devDependencies } = z
    .object({ dependencies: versions, devDependencies: versions })
    .parse(JSON.parse(read('package.json')));
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
});

test('the lock file names each by its hash, and no registry', () => {
  const lock = z
    .object({ packages: z.record(z.string(), z.object({ integrity: z.string().optional() }).loose()) })
    .parse(JSON.parse(read('package-lock.json')));
  for (const [name, one] of Object.entries(lock.packages)) {
    expect(one, name).not.toHaveProperty('resolved');
    if (name !== '') expect(one.integrity, name).toMatch(/^sha512-/);
  }
  expect(read('package-lock.json')).not.toMatch(/registry\.|"https?:\/\/[^"]*\.tgz"/);
});

test.each(['server', 'test'])(
  'embedded programs are named by version and a hash for each machine: %s',
  (list) => {
    const lines = read(`embedded/${list}.txt`)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const programs = lines.filter((line) => !line.startsWith(' '));
    expect(programs.length).toBeGreaterThan(0);
    for (const program of programs) {
      expect(program).toMatch(/^[a-z-]+==\d+(\.\d+)+ \\$/);
      const at = lines.indexOf(program);
      expect(lines[at + 1], program).toMatch(/^ {2}--hash=sha256:[0-9a-f]{64} \\$/);
      expect(lines[at + 2], program).toMatch(/^ {2}--hash=sha256:[0-9a-f]{64}$/);
    }
    expect(lines).toHaveLength(3 * programs.length);
  },
);

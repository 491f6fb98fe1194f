import { expect, test } from 'vitest';
import { problemWithName } from '../../src/repos/names.ts';
import { run } from '../../src/system/run.ts';

test('no page of the installed Fossil can be a repository', async () => {
  const { stdout } = await run({ argv: ['fossil', 'help', '--www'], env: { USER: 'fossilrepo' } });
  const pages = stdout
    .split(/\s+/)
    .filter((word) => word.startsWith('/'))
    .map((page) => page.slice(1));
  expect(pages.length).toBeGreaterThan(150);
  expect(pages).toContain('timeline');
  expect(pages.filter((page) => problemWithName(page) === undefined)).toEqual([]);
});

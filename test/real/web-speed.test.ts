import { copyFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { repositoryFile } from '../../src/config/paths.ts';
import { insertRepository } from '../../src/store/repositories.ts';
import { stageWeb } from './web-stage.ts';

test('500 repositories: the first view reads them in 5 s, the next ones in a tenth', async () => {
  await using stage = await stageWeb();
  const { paths, store } = stage.forge;
  await stage.addRepository({ name: 'r0', visibility: 'public' }, 1);
  for (let n = 1; n < 500; n++) {
    copyFileSync(repositoryFile(paths, 'r0'), repositoryFile(paths, `r${n}`));
    insertRepository(store, {
      id: crypto.randomUUID(),
      name: `r${n}`,
      visibility: 'public',
      state: 'active',
      file: `repos/r${n}.fossil`,
    });
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  const view = async () => {
    const started = performance.now();
    const { body } = await stage.ask('/');
    expect(body.match(/fossil clone/g)).toHaveLength(500);
    return performance.now() - started;
  };
  // Others are answered meanwhile.
  const [first, health] = await Promise.all([
    view(),
    (async () => {
      const started = performance.now();
      await stage.ask('/health');
      return performance.now() - started;
    })(),
  ]);
  const next = Math.min(await view(), await view(), await view());
  expect(first).toBeLessThan(5_000);
  expect(health).toBeLessThan(first);
  expect(next).toBeLessThan(500);
  expect(next).toBeLessThan(first);
});

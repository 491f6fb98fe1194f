import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unruly } from '../faults/unruly.ts';
import { startForge } from './forge.ts';
import { measured } from './processes.ts';
import { startS3 } from './s3.ts';
import { commitFile, initRepository } from './support/fossil-lab.ts';

test('a repository whose first upload takes longer than half a minute is created all the same', async () => {
  await using s3 = await startS3();
  await using storage = await unruly(s3);
  await using forge = await startForge({ s3: storage });
  const [file, home] = [join(forge.root, 'large.fossil'), join(forge.root, 'lab')];
  await initRepository(file, home);
  await commitFile(file, home, 'large.bin', randomBytes(10_000_000));
  await storage.become('narrow');
  const begun = performance.now();
  const made = await forge.cli('repo', 'create', 'large', '--from', file);
  expect(made.code, made.stderr).toBe(0);
  const took = (performance.now() - begun) / 1000;
  measured(`10 MB over a narrow line: created in ${took.toFixed(0)} s`);
  expect(took).toBeGreaterThan(30);
  expect(await forge.json('repo', 'show', 'large')).toMatchObject({ replicated: true });
});

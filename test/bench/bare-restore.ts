import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replicaUrl } from '../../src/backup/location.ts';
import { loadConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { litestreamEnvironment } from '../../src/programs/litestream.ts';
import { run } from '../../src/system/run.ts';
import type { TestForge } from '../real/forge.ts';
import { instanceOf } from '../real/pusher.ts';
import type { S3 } from '../real/s3.ts';

/** An empty folder of a forge that its user can write, gone and made anew by each call. */
export function emptied(forge: TestForge, name: string): string {
  const folder = join(forge.root, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  return folder;
}

/** What a shell would do with Litestream alone: `xargs -P8 litestream restore`, nothing looked at. @param ids of repositories */
export async function bareRestore(
  forge: TestForge,
  ids: readonly string[],
  folder: string,
  s3?: S3,
): Promise<void> {
  const config = loadConfig(pathsUnder(forge.root));
  const url = replicaUrl(config.replica, instanceOf(forge.root), 'repos/{}');
  await run({
    argv: ['xargs', '-P8', '-I{}', config.programs.litestream, 'restore', '-o', `${folder}/{}`, url],
    env: {
      ...litestreamEnvironment(undefined),
      ...(s3 && { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey }),
    },
    input: ids.join('\n'),
    timeout: 3_600_000,
  });
}

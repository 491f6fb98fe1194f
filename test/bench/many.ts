import { chmodSync, chownSync, copyFileSync, existsSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestForge, eventually } from '../real/forge.ts';
import { initRepository, commitFile } from '../real/support/fossil-lab.ts';

type BackupStatus = { ok: boolean; repositories: unknown[] };

/** Puts so many files into the folder that there are `total` repositories, and waits until all are adopted and in the replica. */
export async function fillUpTo(forge: TestForge, total: number): Promise<void> {
  const model = join(forge.root, 'model.fossil');
  if (!existsSync(model)) {
    await initRepository(model, join(forge.root, 'model-home'));
    await commitFile(model, join(forge.root, 'model-home'), 'a.txt', 'a\n');
  }
  const { repositories } = await forge.json<{ repositories: unknown[] }>('repo', 'list');
  for (let n = repositories.length; n < total; n++) putBeside(forge, model, `many-${n}`);
  await eventually(
    async () => {
      const { stdout } = await forge.cli('--json', 'backup', 'status');
      const status = JSON.parse(stdout) as BackupStatus;
      // The canary and the management database, too.
      return status.ok && status.repositories.length >= total + 2;
    },
    // A thousand take minutes on a machine that does nothing else.
    1_800_000,
    `${total} repositories in the replica`,
  );
}

/** Puts a copy of a file into the folder, as an operator would, to be adopted under a name. */
export function putBeside(forge: TestForge, file: string, name: string): void {
  const folder = join(forge.root, 'data/repos');
  const { uid, gid } = statSync(folder);
  const beside = join(forge.root, 'data', `${name}.part`);
  copyFileSync(file, beside);
  chmodSync(beside, 0o660);
  if (process.getuid?.() === 0) chownSync(beside, uid, gid);
  renameSync(beside, join(folder, `${name}.fossil`));
}

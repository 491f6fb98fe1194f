import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { applyRepositorySteps } from '../apply/repository.ts';
import { refuseWhileFenced } from '../backup/fence.ts';
import { changeForge } from '../forge.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import { planMaintenance } from '../plan/exchange.ts';
import { repositoryBytes } from '../repos/file.ts';
import type { GlobalOptions } from '../server.ts';
import { getRepository } from '../store/repositories.ts';

/** `repo maintain`: Fossil's rebuild and SQLite's VACUUM, without losing a push or the replica. Killed, the former file is still there. */
export function repoMaintain(
  options: GlobalOptions,
  name: string,
  flags: { dryRun: boolean },
): Promise<void> {
  return changeForge(options, async (forge) => {
    const row = getRepository(forge.store, name);
    const steps = planMaintenance(row);
    if (flags.dryRun) {
      forge.out.result({ steps }, describeRepositoryPlan(steps));
      return;
    }
    refuseWhileFenced(forge);
    const file = join(forge.paths.data, row.file);
    const before = repositoryBytes(file);
    await applyRepositorySteps(steps, forge);
    const after = repositoryBytes(file);
    forge.out.result(
      { name, id: row.id, bytesBefore: before, bytes: after },
      `${name} is rebuilt: ${prettyBytes(before)} before, ${prettyBytes(after)} now`,
    );
  });
}

import { pathsUnder } from '../config/paths.ts';
import { alone, withForge } from '../forge.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import { openSource } from '../repos/bring.ts';
import { makeAside, planNew, serveNew } from '../repos/create.ts';
import { describeRepository } from '../repos/describe.ts';
import { checkName } from '../repos/names.ts';
import type { GlobalOptions } from '../server.ts';
import type { Visibility } from '../store/repositories.ts';

type Flags = { visibility?: Visibility; description?: string; from?: string; dryRun: boolean };

/** `fossilrepo repo create NAME`: prints where it answers and how to clone it. */
export async function repoCreate(options: GlobalOptions, name: string, flags: Flags): Promise<void> {
  checkName(name);
  const source =
    flags.from === undefined ? undefined : openSource(pathsUnder(options.root), flags.from, flags.dryRun);
  const { visibility = 'private', description } = flags;
  try {
    await withForge(options, async (forge) => {
      const planned = planNew(forge, { name, visibility, description, from: source?.from });
      if (flags.dryRun) {
        const steps = [planned.aside, ...planned.service];
        forge.out.result({ steps }, describeRepositoryPlan(steps));
        return;
      }
      const sanitised = await makeAside(forge, planned);
      for (const line of sanitised) forge.out.say(`made safe: ${line}`);
      const repository = await alone(forge, () => serveNew(forge, planned));
      const shown = await describeRepository(forge, repository);
      forge.out.result({ ...shown, sanitised }, `${shown.url}\n${shown.cloneCommand}`);
    });
  } finally {
    source?.discard();
  }
}

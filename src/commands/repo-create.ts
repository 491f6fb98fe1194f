import { describeRepositoryPlan } from '../apply/repository.ts';
import { pathsUnder } from '../config/paths.ts';
import { changeForge } from '../forge.ts';
import { openSource } from '../repos/bring.ts';
import { createRepository, type NewRepositoryWish, planNew } from '../repos/create.ts';
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
  const wish: NewRepositoryWish = {
    name,
    visibility: flags.visibility ?? 'private',
    description: flags.description,
    from: source?.from,
  };
  try {
    await changeForge(options, async (forge) => {
      if (flags.dryRun) {
        const { steps } = planNew(forge, wish);
        forge.out.result({ steps }, describeRepositoryPlan(steps));
        return;
      }
      const { repository, sanitised } = await createRepository(forge, wish);
      for (const line of sanitised) forge.out.say(`made safe: ${line}`);
      const shown = await describeRepository(forge, repository);
      forge.out.result({ ...shown, sanitised }, `${shown.url}\n${shown.cloneCommand}`);
    });
  } finally {
    source?.discard();
  }
}

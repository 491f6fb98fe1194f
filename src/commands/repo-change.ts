import { changeForge, type Forge } from '../forge.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import { planPurge } from '../plan/repository.ts';
import {
  applyChange,
  changeOf,
  getTrashed,
  purge,
  type RepositoryChange,
  settle,
  settlingOf,
} from '../repos/change.ts';
import { nameIsFree } from '../repos/create.ts';
import { describeRepository } from '../repos/describe.ts';
import { checkName } from '../repos/names.ts';
import type { GlobalOptions } from '../server.ts';
import {
  findRepository,
  getRepository,
  listTrashed,
  type Repository,
  type Visibility,
} from '../store/repositories.ts';
import { agreed } from './questions.ts';

type Flags = { dryRun: boolean };

/** `repo configure`: visibility, description. */
export function repoConfigure(
  options: GlobalOptions,
  name: string,
  flags: Flags & { visibility?: Visibility; description?: string },
) {
  return changeForge(options, async (forge) => {
    const row = getRepository(forge.store, name);
    const { visibility = row.visibility, description = row.description } = flags;
    await change(forge, changeOf(forge, row, { visibility, description }), flags);
  });
}

/** `repo rename`: run again after it was killed, it goes on. */
export function repoRename(options: GlobalOptions, name: string, newName: string, flags: Flags) {
  checkName(newName);
  return changeForge(options, async (forge) => {
    const renamed = findRepository(forge.store, newName);
    const goOn = renamed && !findRepository(forge.store, name) ? settlingOf(forge, renamed) : [];
    if (renamed && goOn.length > 0) {
      if (dry(forge, goOn, flags)) return;
      await settle(forge, renamed);
      await report(forge, getRepository(forge.store, newName));
      return;
    }
    const row = getRepository(
      forge.store,
      name,
      renamed && `There is a ${newName}: perhaps it has its new name already.`,
    );
    nameIsFree(forge, newName);
    await change(forge, changeOf(forge, row, { name: newName }), flags);
  });
}

/** `repo archive`, `repo unarchive`: the write letters go, or come back. */
export function repoArchive(options: GlobalOptions, name: string, archived: boolean, flags: Flags) {
  return changeForge(options, async (forge) => {
    const row = getRepository(forge.store, name);
    await change(forge, changeOf(forge, row, { archived }), flags);
  });
}

/** `repo delete`: into the trash. Run again, it says so again. */
export function repoDelete(options: GlobalOptions, name: string, flags: Flags & { yes: boolean }) {
  return changeForge(options, async (forge) => {
    const former = listTrashed(forge.store, name)[0];
    if (former && !findRepository(forge.store, name)) {
      tellDeleted(forge, former);
      return;
    }
    const row = getRepository(forge.store, name);
    const planned = changeOf(forge, row, { state: 'trashed', deletedAt: Date.now() });
    if (dry(forge, planned.steps, flags)) return;
    if (!flags.yes) await agreed(`Delete ${name}? It can be undeleted for some weeks.`, false);
    tellDeleted(forge, await applyChange(forge, planned));
  });
}

function tellDeleted(forge: Forge, { name, id, deletedAt }: Repository): void {
  const until = new Date((deletedAt ?? 0) + forge.config.repositories.trash).toISOString();
  forge.out.result(
    { name, id, until },
    `${name} is in the trash until ${until}.\nfossilrepo repo undelete ${name}`,
  );
}

/** `repo undelete`: back into service, with today's access. */
export function repoUndelete(options: GlobalOptions, nameOrId: string, flags: Flags & { as?: string }) {
  return changeForge(options, async (forge) => {
    const row = getTrashed(forge, nameOrId);
    const name = flags.as ?? row.name;
    checkName(name);
    nameIsFree(forge, name);
    await change(forge, changeOf(forge, row, { state: 'active', deletedAt: null, name }), flags);
  });
}

/** `repo purge`: the only way to lose a repository. */
export function repoPurge(options: GlobalOptions, nameOrId: string, flags: Flags & { yes: boolean }) {
  return changeForge(options, async (forge) => {
    const row = getTrashed(forge, nameOrId);
    if (dry(forge, planPurge(row), flags)) return;
    if (!flags.yes)
      await agreed(
        `Destroy ${row.name} (${row.id}) and its whole history in the replica? Nothing brings it back.`,
        false,
      );
    await purge(forge, row);
    forge.out.result({ name: row.name, id: row.id }, `${row.name} is gone.`);
  });
}

async function change(forge: Forge, planned: RepositoryChange, flags: Flags): Promise<void> {
  if (dry(forge, planned.steps, flags)) return;
  const after = await applyChange(forge, planned);
  await report(forge, after);
}

async function report(forge: Forge, row: Repository): Promise<void> {
  const shown = await describeRepository(forge, row);
  forge.out.result(
    shown,
    `${shown.name}${shown.archived ? ' (archived)' : ''}, ${shown.visibility}\n${shown.url}`,
  );
}

function dry(forge: Forge, steps: RepositoryChange['steps'], flags: Flags): boolean {
  if (flags.dryRun || steps.length === 0) forge.out.result({ steps }, describeRepositoryPlan(steps));
  return flags.dryRun || steps.length === 0;
}

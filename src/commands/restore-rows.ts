import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { getTrashed } from '../repos/change.ts';
import { nameIsFree } from '../repos/create.ts';
import { checkName } from '../repos/names.ts';
import {
  findRepository,
  findRepositoryById,
  listRepositories,
  listTrashed,
  type Repository,
} from '../store/repositories.ts';

/**
 * The repositories that were named: one in service by name, else by id, else a deleted one. All: those in service that were there then.
 * @throws OperatorError (usage) for a name that is none
 */
export function chosenRows(
  forge: Pick<Forge, 'store' | 'out'>,
  names: readonly string[],
  { all }: { all: boolean },
  at: Date | undefined,
): Repository[] {
  // By its name and by its id it is one.
  if (!all)
    return [...new Map(names.map((name) => chosen(forge, name)).map((row) => [row.id, row])).values()];
  const rows = listRepositories(forge.store).filter(({ state }) => state === 'active');
  const there = rows.filter(({ createdAt }) => at === undefined || createdAt <= at.getTime());
  const later = rows.filter((row) => !there.includes(row));
  if (later.length > 0)
    forge.out.warn(
      `Left as they are, since they were made later: ${later.map(({ name }) => name).join(', ')}`,
    );
  if (at) tellDeleted(forge, at);
  return there;
}

/** What was there then and lies in the trash now comes back only when it is named: its name may be another's, and who deleted it meant to. */
function tellDeleted(forge: Pick<Forge, 'store' | 'out'>, at: Date): void {
  const then = at.getTime();
  const deleted = listTrashed(forge.store).filter(
    ({ createdAt, deletedAt }) => createdAt <= then && (deletedAt ?? then) > then,
  );
  if (deleted.length === 0) return;
  const lines = deleted.map(({ id, name }) => `  ${name}: fossilrepo restore ${id} --at ${at.toISOString()}`);
  forge.out.warn(
    ['Left in the trash, since they were deleted later; to have one as it was then:', ...lines].join('\n'),
  );
}

function chosen(forge: Pick<Forge, 'store'>, nameOrId: string): Repository {
  const row = findRepository(forge.store, nameOrId) ?? findRepositoryById(forge.store, nameOrId);
  if (row?.state === 'active') return row;
  if (row?.state === 'creating') throw new OperatorError(`${nameOrId} is only being made.`, { exit: 'busy' });
  if (row === undefined && listTrashed(forge.store, nameOrId).length === 0)
    throw new OperatorError(`There is no repository ${nameOrId}, in service or in the trash.`, {
      next: 'fossilrepo repo list shows those in service, with --trash the deleted ones.',
      exit: 'usage',
    });
  return getTrashed(forge, nameOrId);
}

/** A name that two have; undefined when none is there twice. */
export const twinIn = (names: readonly string[]): string | undefined =>
  names.find((name, index) => names.indexOf(name) !== index);

/**
 * The name under which a deleted repository comes back into service; undefined for one that is in service, or stays in the trash.
 * @throws OperatorError (usage) when the name is taken, and when one in service shall get another name or go into the trash by it
 */
export function nameInService(
  forge: Pick<Forge, 'store' | 'paths'>,
  row: Repository,
  flags: { inTrash: boolean; as?: string },
): string | undefined {
  if (row.state !== 'trashed') {
    refuseElsewhere(row, flags);
    return undefined;
  }
  if (flags.inTrash) return undefined;
  const name = flags.as ?? row.name;
  checkName(name);
  nameIsFree(forge, name);
  return name;
}

/** Whoever asks for another place expects that what is in service stays. Its own name is no other: the same command run again says it. */
function refuseElsewhere(
  row: Repository,
  { inTrash, as = row.name }: { inTrash: boolean; as?: string },
): void {
  if (!inTrash && as === row.name) return;
  throw new OperatorError(
    `${row.name} is in service, and a restore changes it in its place: ${inTrash ? '--in-trash' : '--as'} is for a deleted one.`,
    {
      next: `To have that state beside it: fossilrepo restore ${row.name} --at TIME --into FOLDER writes a copy, and fossilrepo repo create NAME --from FILE serves one.`,
      exit: 'usage',
    },
  );
}

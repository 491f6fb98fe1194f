import type { Secret } from '../secrets/secret.ts';
import type { Repository } from '../store/repositories.ts';

/** Where a new repository's content comes from. The address may hold a password, and `shown` never does. */
export type Source = { shown: string; address: Secret };

/** An artifact that Fossil neither takes nor gives, by its hash. */
export type Shunned = { hash: string; why: string };

/** One thing that is about to be done to a repository. Each may be done twice. Files are relative to the data folder. */
export type RepositoryStep =
  | { do: 'make'; id: string; name: string; description: string }
  | { do: 'bring'; id: string; name: string; from: Source; description: string | undefined }
  | { do: 'record'; id: string; changes: Partial<Omit<Repository, 'id'>> }
  | { do: 'describe'; file: string; former: string; name: string; description: string }
  | { do: 'project'; id: string; file: string }
  | { do: 'close'; name: string }
  | { do: 'drain'; id: string; file: string }
  | { do: 'abandon'; id: string; file: string }
  | { do: 'move'; from: string; to: string }
  | { do: 'replicate'; id: string; file: string }
  | { do: 'route'; name: string }
  | { do: 'unroute'; name: string }
  | { do: 'open'; name: string }
  | { do: 'check'; id: string }
  | { do: 'prove'; id: string; writable: boolean }
  | { do: 'miss'; name: string }
  | { do: 'erase'; id: string; file: string }
  | { do: 'rebuild'; from: string; to: string }
  | { do: 'prepare'; id: string; file: string; restore: string | undefined; shun: readonly Shunned[] }
  | { do: 'exchange'; from: string; to: string; keep: string | undefined };

/** Where a repository's file belongs, relative to the data folder. */
export const placeOf = (repository: Pick<Repository, 'id' | 'name' | 'state'>): string =>
  repository.state === 'trashed' ? `work/trash/${repository.id}.fossil` : `repos/${repository.name}.fossil`;

/** A file that is being made, relative to the data folder. */
export const makingPlace = (id: string): string => `work/tmp/${id}.fossil`;

/** The name under which a file in `repos` is served, or undefined for a file elsewhere. */
export const servedName = (file: string): string | undefined => /^repos\/(.+)\.fossil$/.exec(file)?.[1];

/** What is there of a repository, outside the management database. */
export type RepositoryFound = {
  /** Whether the row's `file` exists. */
  atFile: boolean;
  /** Whether the file is already where the row wants it: a move was killed before it was recorded. */
  atPlace: boolean;
  /** Whether the access in the file is what the row says. */
  accessIsRight: boolean;
};

/** A new repository's plan, in two halves: what nobody sees and may take long, then what happens under the lock. */
export type CreationPlan = { aside: RepositoryStep; service: RepositoryStep[] };

/** A new repository, made aside and served only when it is whole. It is `active` when it was seen from outside. */
export function planCreation(
  { id, name, description }: Pick<Repository, 'id' | 'name'> & { description: string | undefined },
  from: Source | undefined,
): CreationPlan {
  const file = makingPlace(id);
  const place = `repos/${name}.fossil`;
  return {
    aside:
      from === undefined
        ? { do: 'make', id, name, description: description ?? '' }
        : { do: 'bring', id, name, from, description },
    service: [
      { do: 'project', id, file },
      { do: 'move', from: file, to: place },
      { do: 'record', id, changes: { file: place } },
      { do: 'replicate', id, file: place },
      { do: 'route', name },
      { do: 'open', name },
      { do: 'check', id },
      { do: 'record', id, changes: { state: 'active' } },
    ],
  };
}

/**
 * Takes a creation back that did not come to its end: nobody was told of it.
 * @param found.live whether the file in `repos` under its name is this repository's, not one that somebody put there meanwhile
 */
export function planTakingBack(
  { id, name }: Pick<Repository, 'id' | 'name'>,
  found: { live: boolean },
): RepositoryStep[] {
  return [
    { do: 'unroute', name },
    ...(found.live ? [{ do: 'erase', id, file: `repos/${name}.fossil` } as const] : []),
    { do: 'erase', id, file: makingPlace(id) },
  ];
}

/** A file that is in its place, with today's access in it, is replicated, then served. */
export function planService({ id, name }: Pick<Repository, 'id' | 'name'>): RepositoryStep[] {
  const file = `repos/${name}.fossil`;
  return [
    { do: 'record', id, changes: { file, state: 'active' } },
    { do: 'replicate', id, file },
    { do: 'route', name },
    { do: 'open', name },
  ];
}

/**
 * From where a repository's file is to where its row says. Nothing to do: an empty list.
 * @param repository the row as it is to be; `file` says where the file was last
 */
export function planSettling(
  repository: Repository,
  found: Pick<RepositoryFound, 'atFile' | 'atPlace'>,
): RepositoryStep[] {
  const { id, name, file } = repository;
  const place = placeOf(repository);
  const served = servedName(file);
  // A deleted one whose file is lost comes back from the replica if at all: what it was called is free for another.
  const lost = !found.atFile && !found.atPlace;
  if (file === place || (lost && (repository.state !== 'trashed' || served === undefined))) return [];
  const leave: RepositoryStep[] =
    served !== undefined && (found.atFile || lost)
      ? [
          { do: 'close', name: served },
          { do: lost ? 'abandon' : 'drain', id, file },
        ]
      : [];
  // From the trash it comes with the access of the day it was deleted: that goes before anybody can see it.
  const project: RepositoryStep[] =
    served === undefined && repository.state !== 'trashed'
      ? [{ do: 'project', id, file: found.atFile ? file : place }]
      : [];
  const move: RepositoryStep[] = found.atFile ? [{ do: 'move', from: file, to: place }] : [];
  const arrive: RepositoryStep[] =
    repository.state === 'trashed'
      ? [{ do: 'record', id, changes: { file: place } }]
      : planService({ id, name });
  const retire: RepositoryStep[] =
    served === undefined
      ? []
      : [
          { do: 'unroute', name: served },
          { do: 'open', name: served },
        ];
  return [...leave, ...project, ...move, ...arrive, ...retire];
}

/** A change of a repository's row, and what follows from it for its file. Nothing to do: an empty list. */
export function planChange(
  row: Repository,
  changes: Partial<Omit<Repository, 'id'>>,
  found: RepositoryFound,
): RepositoryStep[] {
  const after = { ...row, ...changes };
  const { id } = row;
  const settling = planSettling(after, found);
  const file = settling.length > 0 ? placeOf(after) : row.file;
  const steps: RepositoryStep[] = [
    ...(Object.keys(changes).length > 0 ? [{ do: 'record', id, changes } as const] : []),
    ...(row.state === 'active' && after.state === 'active' ? planAccess(row, after, found) : []),
    ...settling,
    ...(after.description !== row.description || (after.name !== row.name && after.state !== 'trashed')
      ? [
          {
            do: 'describe',
            file,
            former: row.name,
            name: after.name,
            description: after.description,
          } as const,
        ]
      : []),
  ];
  if (steps.length === 0) return [];
  return [...steps, ...planLooking(row, after)];
}

/** Whoever was let in before could still write: for an archive the name is closed until they are out. */
function planAccess(row: Repository, after: Repository, found: RepositoryFound): RepositoryStep[] {
  const { id, name, file } = row;
  const same = after.archived === row.archived && after.visibility === row.visibility;
  if (same && found.accessIsRight) return [];
  const project: RepositoryStep = { do: 'project', id, file };
  if (!after.archived || row.archived) return [project];
  return [
    { do: 'close', name },
    { do: 'drain', id, file },
    project,
    { do: 'replicate', id, file },
    { do: 'open', name },
  ];
}

/** What is looked at from outside after a change. */
function planLooking(row: Repository, after: Repository): RepositoryStep[] {
  const { id } = row;
  const gone: RepositoryStep[] =
    row.state === 'active' && (after.name !== row.name || after.state === 'trashed')
      ? [{ do: 'miss', name: row.name }]
      : [];
  if (after.state === 'trashed') return gone;
  const proof: RepositoryStep[] =
    after.archived === row.archived ? [] : [{ do: 'prove', id, writable: !after.archived }];
  return [...gone, { do: 'check', id }, ...proof];
}

/** A repository's end: the file and its history in the replica. */
export const planPurge = ({ id, file }: Pick<Repository, 'id' | 'file'>): RepositoryStep[] => [
  { do: 'erase', id, file },
];

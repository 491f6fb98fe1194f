import type { Repository } from '../store/repositories.ts';

/** One thing that is about to be done to a repository. Each may be done twice. */
export type RepositoryStep =
  | { do: 'make'; id: string; name: string; description: string }
  | { do: 'bring'; id: string; name: string; from: string; description: string | undefined }
  | { do: 'record'; id: string; changes: Partial<Omit<Repository, 'id'>> }
  | { do: 'project'; id: string; file: string }
  | { do: 'close'; name: string; why: string }
  | { do: 'drain'; id: string; file: string }
  | { do: 'move'; id: string; from: string; to: string }
  | { do: 'replicate'; id: string; file: string }
  | { do: 'route'; name: string }
  | { do: 'unroute'; name: string }
  | { do: 'open'; name: string }
  | { do: 'erase'; id: string; file: string };

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
};

/** A new repository, made aside and served only when it is whole. */
export function planCreation(
  repository: Pick<Repository, 'id' | 'name' | 'description'>,
  from: string | undefined,
): RepositoryStep[] {
  const { id, name, description } = repository;
  const aside = makingPlace(id);
  return [
    from === undefined
      ? { do: 'make', id, name, description }
      : { do: 'bring', id, name, from, description: description || undefined },
    { do: 'project', id, file: aside },
    { do: 'move', id, from: aside, to: `repos/${name}.fossil` },
    ...planService({ id, name }),
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
export function planSettling(repository: Repository, found: RepositoryFound): RepositoryStep[] {
  const { id, name, file } = repository;
  const place = placeOf(repository);
  if (file === place) return [];
  const served = servedName(file);
  const leave: RepositoryStep[] = found.atFile
    ? [
        ...(served === undefined
          ? []
          : ([
              {
                do: 'close',
                name: served,
                why: repository.state === 'trashed' ? 'is being deleted' : 'is being renamed',
              },
              { do: 'drain', id, file },
            ] as const)),
        { do: 'move', id, from: file, to: place },
      ]
    : [];
  const retire: RepositoryStep[] =
    served === undefined || served === servedName(place)
      ? []
      : [
          { do: 'unroute', name: served },
          { do: 'open', name: served },
        ];
  if (repository.state === 'trashed')
    return [...leave, { do: 'record', id, changes: { file: place } }, ...retire];
  // From the trash it comes with the access of the day it was deleted.
  const project: RepositoryStep[] = [{ do: 'project', id, file: place }];
  return [...leave, ...(served === undefined ? project : []), ...planService({ id, name }), ...retire];
}

/** A repository's end: the file and its history in the replica. */
export const planPurge = ({ id, file }: Pick<Repository, 'id' | 'file'>): RepositoryStep[] => [
  { do: 'erase', id, file },
];

/** A step in one line. */
export function describeRepositoryStep(step: RepositoryStep): string {
  switch (step.do) {
    case 'make':
      return `make an empty repository ${step.name}`;
    case 'bring':
      return `bring ${step.name} from ${step.from} and make it safe`;
    case 'record':
      return `record ${Object.entries(step.changes)
        .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        .join(', ')}`;
    case 'project':
      return `write today's access into ${step.file}`;
    case 'close':
      return `close ${step.name}`;
    case 'drain':
      return `wait until nobody writes to ${step.file} and all of it is in the replica`;
    case 'move':
      return `move ${step.from} to ${step.to}`;
    case 'replicate':
      return `replicate ${step.file}`;
    case 'route':
      return `serve ${step.name}`;
    case 'unroute':
      return `serve ${step.name} no longer`;
    case 'open':
      return `open ${step.name}`;
    case 'erase':
      return `destroy ${step.file} and its history in the replica`;
  }
}

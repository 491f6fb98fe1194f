import { OperatorError } from '../errors.ts';
import { flag, integer, integerOrNull, oneOf, type Row, text } from './rows.ts';
import { all, change, first, type Store } from './store.ts';

export const visibilities = ['public', 'internal', 'private'] as const;
/** Who may read: everybody, every signed-in member, or those who were given access. */
export type Visibility = (typeof visibilities)[number];

const states = ['creating', 'active', 'trashed'] as const;
/** `creating` until it answered from outside; `trashed` while it can still be brought back. */
export type RepositoryState = (typeof states)[number];

export type Repository = {
  /** A UUID, from creation or adoption to purge; the replica lies under it. */
  id: string;
  name: string;
  state: RepositoryState;
  visibility: Visibility;
  description: string;
  archived: boolean;
  /** The canary: served and replicated, but not listed. */
  hidden: boolean;
  /** Where the file lies, relative to `paths.data`: `repos/demo.fossil` or `work/trash/ID.fossil`. */
  file: string;
  createdAt: number;
  /** Null unless trashed. */
  deletedAt: number | null;
};

const read = (row: Row): Repository => ({
  id: text(row, 'id'),
  name: text(row, 'name'),
  state: oneOf(row, 'state', states),
  visibility: oneOf(row, 'visibility', visibilities),
  description: text(row, 'description'),
  archived: flag(row, 'archived'),
  hidden: flag(row, 'hidden'),
  file: text(row, 'file'),
  createdAt: integer(row, 'created_at'),
  deletedAt: integerOrNull(row, 'deleted_at'),
});

export type NewRepository = Pick<Repository, 'id' | 'name' | 'visibility' | 'file'> &
  Partial<Pick<Repository, 'state' | 'description' | 'archived' | 'hidden' | 'createdAt'>>;

/** Adds a repository (`creating` unless told otherwise). @throws OperatorError when the name is taken */
export function insertRepository(store: Store, repository: NewRepository): Repository {
  if (findRepository(store, repository.name)) throw nameTaken(repository.name);
  change(
    store,
    `INSERT INTO repository(id, name, state, visibility, description, archived, hidden, file, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    repository.id,
    repository.name,
    repository.state ?? 'creating',
    repository.visibility,
    repository.description ?? '',
    Number(repository.archived ?? false),
    Number(repository.hidden ?? false),
    repository.file,
    repository.createdAt ?? Date.now(),
  );
  return getRepository(store, repository.name);
}

/** The repository that has the name now (one in the trash has no name), or undefined. */
export function findRepository(store: Store, name: string): Repository | undefined {
  const row = first(store, "SELECT * FROM repository WHERE name = ? AND state <> 'trashed'", name);
  return row && read(row);
}

/** @throws OperatorError when there is none of that name */
export function getRepository(
  store: Store,
  name: string,
  next = 'fossilrepo repo list shows those there are.',
): Repository {
  const found = findRepository(store, name);
  if (!found) throw new OperatorError(`There is no repository ${name}.`, { next });
  return found;
}

/** By id, in any state. */
export function findRepositoryById(store: Store, id: string): Repository | undefined {
  const row = first(store, 'SELECT * FROM repository WHERE id = ?', id);
  return row && read(row);
}

/** All that have a name now, by name; `hidden` ones too when asked for. */
export const listRepositories = (store: Store, options: { hidden?: boolean } = {}): Repository[] =>
  all(
    store,
    "SELECT * FROM repository WHERE state <> 'trashed' AND (hidden = 0 OR ?) ORDER BY name",
    Number(options.hidden ?? false),
  ).map(read);

/** All that there are: hidden ones and what is in the trash, too. */
export const allRepositories = (store: Store): Repository[] => [
  ...listRepositories(store, { hidden: true }),
  ...listTrashed(store),
];

/** What is in the trash, the newest first; of one former name when given. */
export const listTrashed = (store: Store, name?: string): Repository[] =>
  all(
    store,
    "SELECT * FROM repository WHERE state = 'trashed' AND (?1 IS NULL OR name = ?1) ORDER BY deleted_at DESC, id",
    name ?? null,
  ).map(read);

/** Changes some fields. @throws OperatorError when a new name is taken, or there is no such repository */
export function updateRepository(
  store: Store,
  id: string,
  changes: Partial<Omit<Repository, 'id'>>,
): Repository {
  const before = findRepositoryById(store, id);
  if (!before) throw new OperatorError(`There is no repository with the id ${id}.`);
  const after = { ...before, ...changes };
  const holder = after.state === 'trashed' ? undefined : findRepository(store, after.name);
  if (holder && holder.id !== id) throw nameTaken(after.name);
  change(
    store,
    `UPDATE repository SET name = ?, state = ?, visibility = ?, description = ?, archived = ?, hidden = ?, file = ?,
       created_at = ?, deleted_at = ? WHERE id = ?`,
    after.name,
    after.state,
    after.visibility,
    after.description,
    Number(after.archived),
    Number(after.hidden),
    after.file,
    after.createdAt,
    after.deletedAt,
    id,
  );
  return after;
}

/** Forgets a repository: the end of a purge, or of a creation that failed. */
export const removeRepository = (store: Store, id: string): boolean =>
  change(store, 'DELETE FROM repository WHERE id = ?', id) > 0;

const nameTaken = (name: string): OperatorError =>
  new OperatorError(`There is already a repository ${name}.`, {
    next: 'Choose another name.',
    exit: 'usage',
  });

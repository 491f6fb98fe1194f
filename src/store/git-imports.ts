import { z } from 'zod';
import { integer, text, textOrNull } from './rows.ts';
import { all, change, first, type Store, transaction } from './store.ts';

/** Branches and tags with what they point at: `refs/heads/main` → hash. */
export type ImportedRefs = ReadonlyMap<string, string>;

/** What is known of a repository's import from Git. It can't be found out again: see `import_mark` in the schema. */
export type GitImport = {
  /** The branch that is its trunk, without `refs/heads/`. */
  main: string;
  /** How many marks there have to be. */
  commits: number;
  /** An import that may have been delivered in part: it is done again, just so, before anything else. */
  intended: IntendedImport | undefined;
};

/** An import is made from these alone and the marks, so that made again it is the same. */
export type IntendedImport = {
  /** The date of what Git has no date for. Milliseconds since 1970. */
  at: number;
  refs: ImportedRefs;
  /** The branch that is the trunk from then on; without it the former one. */
  main?: string | undefined;
};

export function findGitImport(store: Store, repository: string): GitImport | undefined {
  const row = first(store, 'SELECT * FROM git_import WHERE repository = ?', repository);
  if (!row) return undefined;
  const intended = textOrNull(row, 'intended');
  return {
    main: text(row, 'main'),
    commits: integer(row, 'commits'),
    intended: intended === null ? undefined : readIntended(intended),
  };
}

const intendedSchema = z.object({
  at: z.number(),
  refs: z.array(z.tuple([z.string(), z.string()])),
  main: z.string().optional(),
});

function readIntended(json: string): IntendedImport {
  const { refs, ...intended } = intendedSchema.parse(JSON.parse(json));
  return { ...intended, refs: new Map(refs) };
}

/** Fossil's hash of each imported commit, by Git's. */
export const importMarks = (store: Store, repository: string): Map<string, string> =>
  new Map(
    all(store, 'SELECT git, fossil FROM import_mark WHERE repository = ?', repository).map((row) => [
      text(row, 'git'),
      text(row, 'fossil'),
    ]),
  );

/** The refs as they were last imported. */
export const importedRefs = (store: Store, repository: string): ImportedRefs =>
  new Map(
    all(store, 'SELECT ref, git FROM import_ref WHERE repository = ?', repository).map((row) => [
      text(row, 'ref'),
      text(row, 'git'),
    ]),
  );

/** Remembers what is about to be delivered: until that is at its end, nothing else is. */
export const intendImport = (store: Store, repository: string, { refs, ...intended }: IntendedImport): void =>
  void change(
    store,
    'UPDATE git_import SET intended = ? WHERE repository = ?',
    JSON.stringify({ ...intended, refs: [...refs] }),
    repository,
  );

/** Remembers an import that is at its end, all or nothing: its marks besides the former ones, its refs and main branch in their place. */
export function recordImport(
  store: Store,
  repository: string,
  done: { main: string; marks: ReadonlyMap<string, string>; refs: ImportedRefs },
): void {
  transaction(store, () => {
    for (const [git, fossil] of done.marks)
      change(
        store,
        'INSERT INTO import_mark(repository, git, fossil) VALUES (?, ?, ?)',
        repository,
        git,
        fossil,
      );
    change(
      store,
      `INSERT INTO git_import(repository, main, commits) VALUES (?1, ?2, ?3)
       ON CONFLICT(repository) DO UPDATE SET main = ?2, commits = commits + ?3, intended = NULL`,
      repository,
      done.main,
      done.marks.size,
    );
    change(store, 'DELETE FROM import_ref WHERE repository = ?', repository);
    for (const [ref, git] of done.refs)
      change(store, 'INSERT INTO import_ref(repository, ref, git) VALUES (?, ?, ?)', repository, ref, git);
  });
}

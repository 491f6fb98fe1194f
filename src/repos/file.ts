import type { DatabaseSync } from 'node:sqlite';
import { sizeIfThere } from '../system/files.ts';
import { asOperatorError, openRepository, UnreadableError } from './open.ts';
import { readSetting, writeSetting } from './settings.ts';

/** What a repository's file says about itself. */
export type RepositoryFacts = {
  /** The id that fossilrepo gave it, or undefined for a file that it never saw. */
  id: string | undefined;
  projectName: string;
  description: string;
  /** Fossil's identity of the project, which all its clones share. */
  projectCode: string;
  checkins: number;
  /** Milliseconds since 1970 of the newest event of any kind (as its author dated it), or null when there is none. */
  lastActivity: number | null;
  /** The file and its write-ahead log. */
  bytes: number;
};

/** The row of Fossil's `config` table in which a repository carries its id. `fossil config` does not export it. */
const idSetting = 'fossilrepo-id';

/** The config rows that are read, and what they are here. */
const settings = {
  id: idSetting,
  name: 'project-name',
  description: 'project-description',
  code: 'project-code',
};

/** One statement for all: compiling one for each took a third of the time that reading a repository took. */
const factsOf = `SELECT
  ${Object.entries(settings)
    .map(([key, name]) => `(SELECT value FROM config WHERE name = '${name}') AS ${key},`)
    .join('\n  ')}
  (SELECT count(*) FROM event WHERE type = 'ci') AS checkins,
  CAST(round(((SELECT max(mtime) FROM event) - 2440587.5) * 86400000) AS INTEGER) AS last`;

/**
 * Reads what lists and pages show about a repository: 0.5 ms, blocks no writer, waits up to 5 s for one that commits.
 * @throws OperatorError when it is no repository or stays locked
 */
export function readRepository(file: string): RepositoryFacts {
  return reading(file, (database) => {
    const row = database.prepare(factsOf).get() ?? {};
    const setting = (key: keyof typeof settings) => {
      const value = row[key];
      return typeof value === 'string' ? value : undefined;
    };
    const projectCode = setting('code');
    if (projectCode === undefined) throw incomplete(file);
    const last = row['last'];
    return {
      id: setting('id'),
      projectName: setting('name') ?? '',
      description: setting('description') ?? '',
      projectCode,
      checkins: Number(row['checkins']),
      lastActivity: typeof last === 'number' ? last : null,
      bytes: repositoryBytes(file),
    };
  });
}

/** The id that fossilrepo gave a file, or undefined. @throws OperatorError when it is no repository or stays locked */
export const repositoryId = (file: string): string | undefined =>
  reading(file, (database) => readSetting(database, settings.id));

/**
 * The id of the file that lies there, though it may have been moved over another one whose log is still beside it: read together, the two
 * can look like the former. A project's code never changes, so that it is the same in the file alone and with its own log.
 * @throws OperatorError as `repositoryId` does
 */
export function idOfFile(file: string): string | undefined {
  const alone = withoutLog(file);
  if (alone === undefined) return repositoryId(file);
  const { id, code } = alone;
  // A new id may still be in the log alone.
  if (id !== undefined || code !== reading(file, (database) => readSetting(database, settings.code)))
    return id;
  return repositoryId(file);
}

/** What the file says whatever its log says; undefined when somebody wrote to it in this moment. */
function withoutLog(file: string): { id: string | undefined; code: string | undefined } | undefined {
  try {
    using database = openRepository(file, { readOnly: true, withoutLog: true });
    return { id: readSetting(database, settings.id), code: readSetting(database, settings.code) };
  } catch {
    return undefined;
  }
}

/**
 * Writes a repository's id, project name and description into its file; what is left out stays as it is.
 * @returns whether anything differed
 * @throws OperatorError when the file isn't there, is no repository, or stays locked for 15 s
 */
export function setIdentity(
  file: string,
  identity: { id?: string | undefined; name?: string | undefined; description?: string | undefined },
): boolean {
  const database = openRepository(file, { readOnly: false });
  try {
    database.exec('BEGIN IMMEDIATE');
    let changed = false;
    for (const key of ['id', 'name', 'description'] as const) {
      const wanted = identity[key];
      if (wanted === undefined || wanted === readSetting(database, settings[key])) continue;
      writeSetting(database, settings[key], wanted);
      changed = true;
    }
    database.exec('COMMIT');
    return changed;
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

/** Follows a rename: the project is called after the repository only where it was before. Writes the description, too. */
export function nameRepository(
  file: string,
  named: { former: string; name: string; description: string },
): void {
  const follows = readRepository(file).projectName === named.former;
  setIdentity(file, { name: follows ? named.name : undefined, description: named.description });
}

/** The size of a repository with its write-ahead log, in bytes; 0 when there is no file. */
export const repositoryBytes = (file: string): number => sizeIfThere(file) + sizeIfThere(`${file}-wal`);

/**
 * Opens for reading, does the work in one go and closes: an open reader would make Fossil's writers fail after 15 s where
 * the file is not in WAL mode.
 */
function reading<T>(file: string, work: (database: DatabaseSync) => T): T {
  const database = openRepository(file, { readOnly: true, timeout: 5_000 });
  try {
    if (!hasFossilTables(database)) throw incomplete(file);
    return work(database);
  } catch (error) {
    throw asOperatorError(file, error);
  } finally {
    database.close();
  }
}

/** Without these no page works. `forumpost`, `unversioned`, `accesslog` and others come only when they are needed. */
const tables = ['blob', 'config', 'delta', 'event', 'rcvfrom', 'user'] as const;

/** Whether Fossil's tables are there, and are tables: a view of the same name could run for ever. */
export function hasFossilTables(database: DatabaseSync): boolean {
  const names = tables.map((name) => `'${name}'`).join(', ');
  const row = database
    .prepare(
      `SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name IN (${names})
         AND sql NOT LIKE 'CREATE VIRTUAL%'`,
    )
    .get();
  return row?.['n'] === tables.length;
}

const incomplete = (file: string): UnreadableError =>
  new UnreadableError(file, `${file} is not a complete Fossil repository.`);

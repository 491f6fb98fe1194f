import { pathToFileURL } from 'node:url';
import { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';

/**
 * Opens a repository's file, which may have been written by somebody else: it can't make SQLite run functions with side
 * effects (`trusted_schema`) nor corrupt itself (`defensive`), and a missing file is never made.
 * Fossil waits 15 s for a lock, so this does, too.
 * @param options.withoutLog reads the file alone, whatever a write-ahead log beside it says, and without locks
 * @throws OperatorError when there is no such file, or it is no database
 */
export function openRepository(
  file: string,
  options: { readOnly: boolean; timeout?: number; withoutLog?: boolean },
): DatabaseSync {
  const url = pathToFileURL(file);
  url.searchParams.set('mode', options.readOnly ? 'ro' : 'rw');
  if (options.withoutLog) url.searchParams.set('immutable', '1');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, {
      readOnly: options.readOnly,
      timeout: options.timeout ?? 15_000,
      enableForeignKeyConstraints: false,
      defensive: true,
    });
    database.exec('PRAGMA trusted_schema = OFF');
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return database;
  } catch (error) {
    if (database?.isOpen) database.close();
    throw asOperatorError(file, error);
  }
}

/** A file that can't be read as a repository: it is damaged, or something else lies there. */
export class UnreadableError extends OperatorError {
  override name = 'UnreadableError';
  readonly file: string;

  constructor(file: string, message: string, options: ConstructorParameters<typeof OperatorError>[1] = {}) {
    super(message, options);
    this.file = file;
  }
}

/** SQLite's primary result codes (sqlite3.h). */
const sqliteCodes = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** What an operator can do about an error of SQLite's (exit `busy` when locked, `check` when damaged); anything else as it is. */
export function asOperatorError(file: string, error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === sqliteCodes.cannotOpen)
    return new OperatorError(`${file} is not there or cannot be opened.`, {
      next: 'Look whether the file exists and who owns it.',
      cause: error,
    });
  if (code === sqliteCodes.notADatabase)
    return new UnreadableError(file, `${file} is not a Fossil repository.`, { cause: error });
  if (code === sqliteCodes.corrupt)
    return new UnreadableError(
      file,
      `${file} is damaged: ${error instanceof Error ? error.message : 'unreadable'}.`,
      {
        next: 'One that is in service is brought back from the replica: fossilrepo restore NAME --at now.',
        exit: 'check',
        cause: error,
      },
    );
  if (code === sqliteCodes.busy || code === sqliteCodes.locked)
    return new OperatorError(`${file} is locked by another program.`, {
      next: 'Run the command again in a moment.',
      exit: 'busy',
      cause: error,
    });
  if (code === sqliteCodes.readOnly)
    return new OperatorError(`${file} may not be written by this user.`, {
      next: 'Run the command with sudo, and look who owns the file and its folder.',
      cause: error,
    });
  if (code === sqliteCodes.full)
    return new OperatorError(`${file} cannot be written: the disk is full.`, {
      next: 'Make room.',
      cause: error,
    });
  return error;
}

/** SQLite's primary result code of an error, or undefined. */
function sqliteCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;
}

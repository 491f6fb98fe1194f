import { flag, integer, integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store } from './store.ts';

const kinds = ['restore', 'undo'] as const;
const outcomes = ['done', 'not done'] as const;
const presences = ['whole', 'damaged', 'missing'] as const;

/** One exchange of a repository's file for another state of it. Instants are milliseconds since 1970. */
export type Restore = {
  id: string;
  /** The repository's id. */
  repository: string;
  kind: (typeof kinds)[number];
  /** The instant whose state it is. */
  at: number;
  begunAt: number;
  /** Null while it is at work, or when it was killed and nobody has looked yet. */
  endedAt: number | null;
  outcome: (typeof outcomes)[number] | null;
  /** Whether the command that did it was killed, and nobody was told its outcome yet. */
  interrupted: boolean;
  /** Where what was there before is kept, relative to `paths.data`; null when nothing was, or it isn't kept any more. */
  undoFile: string | null;
  /** The last `rcvfrom.rcvid` in the state that was put in: what has a higher one was pushed after it. */
  receipt: number;
  /** What lay in the repository's place. */
  was: (typeof presences)[number];
};

const read = (row: Row): Restore => ({
  id: text(row, 'id'),
  repository: text(row, 'repository'),
  kind: oneOf(row, 'kind', kinds),
  at: integer(row, 'at'),
  begunAt: integer(row, 'begun_at'),
  endedAt: integerOrNull(row, 'ended_at'),
  outcome: row['outcome'] === null ? null : oneOf(row, 'outcome', outcomes),
  interrupted: flag(row, 'interrupted'),
  undoFile: textOrNull(row, 'undo_file'),
  receipt: integer(row, 'receipt'),
  was: oneOf(row, 'was', presences),
});

export type NewRestore = Pick<Restore, 'id' | 'repository' | 'kind' | 'at' | 'undoFile' | 'receipt' | 'was'> &
  Partial<Pick<Restore, 'begunAt'>>;

export function beginRestore(store: Store, restore: NewRestore): void {
  change(
    store,
    `INSERT INTO restore(id, repository, kind, at, begun_at, interrupted, undo_file, receipt, was)
     VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)`,
    restore.id,
    restore.repository,
    restore.kind,
    restore.at,
    restore.begunAt ?? Date.now(),
    restore.undoFile,
    restore.receipt,
    restore.was,
  );
}

/** @param end.interrupted whether whoever gave the command does not know of it yet */
export function endRestore(
  store: Store,
  id: string,
  end: { outcome: (typeof outcomes)[number]; interrupted: boolean },
): void {
  change(
    store,
    'UPDATE restore SET ended_at = ?, outcome = ?, interrupted = ? WHERE id = ?',
    Date.now(),
    end.outcome,
    Number(end.interrupted),
    id,
  );
}

/** Those that nobody has ended. */
export const openRestores = (store: Store): Restore[] =>
  all(store, 'SELECT * FROM restore WHERE ended_at IS NULL ORDER BY begun_at').map(read);

/** By id, or undefined. */
export function findRestore(store: Store, id: string): Restore | undefined {
  const row = first(store, 'SELECT * FROM restore WHERE id = ?', id);
  return row && read(row);
}

/** The last one of a repository, whatever became of it. */
export function lastRestore(store: Store, repository: string): Restore | undefined {
  const row = first(
    store,
    'SELECT * FROM restore WHERE repository = ? ORDER BY begun_at DESC, rowid DESC LIMIT 1',
    repository,
  );
  return row && read(row);
}

/** Whoever gave the command, or the next one, was told what became of it. */
export const noteTold = (store: Store, id: string): number =>
  change(store, 'UPDATE restore SET interrupted = 0 WHERE id = ?', id);

/** The last one of a repository that was done: the one that can be taken back, as long as its former state is kept. */
export function lastDoneRestore(store: Store, repository: string): Restore | undefined {
  const row = first(
    store,
    `SELECT * FROM restore WHERE repository = ? AND outcome = 'done' ORDER BY begun_at DESC, rowid DESC LIMIT 1`,
    repository,
  );
  return row && read(row);
}

/** Those whose former state is kept. */
export const keptUndo = (store: Store): Restore[] =>
  all(store, 'SELECT * FROM restore WHERE undo_file IS NOT NULL').map(read);

/** All of one repository. */
export const restoresOf = (store: Store, repository: string): Restore[] =>
  all(store, 'SELECT * FROM restore WHERE repository = ?', repository).map(read);

/** The former state is no longer there. */
export const forgetUndo = (store: Store, id: string): number =>
  change(store, 'UPDATE restore SET undo_file = NULL WHERE id = ?', id);

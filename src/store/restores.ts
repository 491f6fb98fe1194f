import { flag, integer, integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store } from './store.ts';

const kinds = ['restore', 'undo'] as const;
const outcomes = ['done', 'not done'] as const;

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
  /** Whether it was killed, and nobody was told its outcome yet. */
  interrupted: boolean;
  /** Where the state that was there before is kept, relative to `paths.data`; null when it isn't any more. */
  undoFile: string | null;
  /** The last `rcvfrom.rcvid` in the state that was put in: what has a higher one was pushed after it. */
  receipt: number;
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
});

export type NewRestore = Pick<Restore, 'id' | 'repository' | 'kind' | 'at' | 'undoFile' | 'receipt'>;

export function beginRestore(store: Store, restore: NewRestore): void {
  change(
    store,
    `INSERT INTO restore(id, repository, kind, at, begun_at, interrupted, undo_file, receipt)
     VALUES (?, ?, ?, ?, ?, 0, ?, ?)`,
    restore.id,
    restore.repository,
    restore.kind,
    restore.at,
    Date.now(),
    restore.undoFile,
    restore.receipt,
  );
}

/** @param end.interrupted whether somebody else than the command itself says so */
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

/** The last one of a repository, whatever became of it. */
export function lastRestore(store: Store, repository: string): Restore | undefined {
  const row = first(
    store,
    'SELECT * FROM restore WHERE repository = ? ORDER BY begun_at DESC, rowid DESC LIMIT 1',
    repository,
  );
  return row && read(row);
}

/** Whoever runs the next command was told what became of it. */
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

import { integer, type Row, text, textOrNull } from './rows.ts';
import { all, change, type Store, transaction } from './store.ts';

/** Something that the server did by itself or found, for `status`, `/health` and the log. */
export type Event = {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  /** A repository's id. */
  repository: string | null;
  /** One word: `adopted`, `rejected`, `mended` … */
  kind: string;
  text: string;
};

/** How many are kept; the oldest go. */
export const keptEvents = 10_000;

const read = (row: Row): Event => ({
  id: integer(row, 'id'),
  at: integer(row, 'at'),
  repository: textOrNull(row, 'repository'),
  kind: text(row, 'kind'),
  text: text(row, 'text'),
});

export function addEvent(
  store: Store,
  event: { kind: string; text: string; repository?: string | undefined; at?: number },
): void {
  transaction(store, () => {
    change(
      store,
      'INSERT INTO event(at, repository, kind, text) VALUES (?, ?, ?, ?)',
      event.at ?? Date.now(),
      event.repository ?? null,
      event.kind,
      event.text,
    );
    change(store, 'DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?', keptEvents);
  });
}

/** Those that came after one, the oldest first. @param id of the last that is known, 0 for none */
export const eventsAfter = (store: Store, id: number): Event[] =>
  all(store, 'SELECT * FROM event WHERE id > ? ORDER BY id', id).map(read);

/** The newest first; of one repository when its id is given. */
export const newestEvents = (store: Store, limit: number, repository?: string): Event[] =>
  all(
    store,
    'SELECT * FROM event WHERE ?1 IS NULL OR repository = ?1 ORDER BY id DESC LIMIT ?2',
    repository ?? null,
    limit,
  ).map(read);

import { text } from './rows.ts';
import { all, change, type Store, transaction } from './store.ts';

/** How somebody is called in a Git commit: `NAME <MAIL>`. Neither holds `<`, `>`, a line end, or nothing at all. */
export type Ident = { name: string; mail: string };

/** Whoever has made check-ins in a repository, by login. */
export const identsOf = (store: Store, repository: string): Map<string, Ident> =>
  new Map(
    all(store, 'SELECT login, name, mail FROM ident WHERE repository = ?', repository).map((row) => [
      text(row, 'login'),
      { name: text(row, 'name'), mail: text(row, 'mail') },
    ]),
  );

/** Remembers how somebody is called from now on. Who is known stays as known, whatever changed: commits' hashes follow from it. */
export function freezeIdents(store: Store, repository: string, idents: ReadonlyMap<string, Ident>): void {
  transaction(store, () => {
    for (const [login, { name, mail }] of idents)
      change(
        store,
        `INSERT INTO ident(repository, login, name, mail) VALUES (?, ?, ?, ?)
         ON CONFLICT(repository, login) DO NOTHING`,
        repository,
        login,
        name,
        mail,
      );
  });
}

/** Nothing of a purged repository is kept. */
export const forgetIdents = (store: Store, repository: string): number =>
  change(store, 'DELETE FROM ident WHERE repository = ?', repository);

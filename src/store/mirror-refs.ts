import { type Row, text, textOrNull } from './rows.ts';
import { all, change, type Store, transaction } from './store.ts';

/** What was last pushed to a mirror under one name. */
export type PushedRef = {
  /** `refs/heads/main` */
  ref: string;
  /** The commit's hash. */
  git: string;
  /** The check-in's hash. */
  fossil: string;
  /** What it is called in Fossil, where Git could not call it so; else null. */
  name: string | null;
};

const read = (row: Row): PushedRef => ({
  ref: text(row, 'ref'),
  git: text(row, 'git'),
  fossil: text(row, 'fossil'),
  name: textOrNull(row, 'name'),
});

/** All refs of one mirror, by name. */
export const pushedRefs = (store: Store, mirror: string): PushedRef[] =>
  all(store, 'SELECT ref, git, fossil, name FROM mirror_ref WHERE mirror = ? ORDER BY ref', mirror).map(read);

/** Says what is there now: all of it, in one transaction. */
export function setPushedRefs(store: Store, mirror: string, refs: readonly PushedRef[]): void {
  transaction(store, () => {
    const now = new Map(pushedRefs(store, mirror).map((one) => [one.ref, one]));
    for (const { ref, git, fossil, name } of refs) {
      const known = now.get(ref);
      now.delete(ref);
      if (known?.git === git && known.fossil === fossil && known.name === name) continue;
      change(
        store,
        `INSERT INTO mirror_ref(mirror, ref, git, fossil, name) SELECT ?1, ?2, ?3, ?4, ?5
         WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)
         ON CONFLICT(mirror, ref) DO UPDATE SET git = excluded.git, fossil = excluded.fossil, name = excluded.name`,
        mirror,
        ref,
        git,
        fossil,
        name,
      );
    }
    for (const ref of now.keys())
      change(store, 'DELETE FROM mirror_ref WHERE mirror = ? AND ref = ?', mirror, ref);
  });
}

import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../../errors.ts';
import { openRepository } from '../../repos/open.ts';
import { readArtifact } from '../export/artifact.ts';
import { readManifest, treeOf } from '../export/manifest.ts';
import type { Tree } from './trees.ts';

/** What an import has to know of the repository that it goes on in. Check-ins are named by their hashes. */
export type Hosted = {
  tree: (checkin: string) => Tree;
  /** Undefined for one that is on none. */
  branch: (checkin: string) => string | undefined;
  /** Children by their first parent that are on its branch because it is. */
  followers: (checkin: string) => string[];
  /** Those of `checkins` that it has not. */
  missing: (checkins: Iterable<string>) => string[];
  /** Whether none of them may be here any more. */
  shunned: (checkins: readonly string[]) => boolean;
};

/** Keeps the file open; each question is a read of its own. */
export function openHosted(file: string): Hosted & Disposable {
  const database = openRepository(file, { readOnly: true });
  return { ...hostedBy(database), [Symbol.dispose]: () => database.close() };
}

function hostedBy(database: DatabaseSync): Hosted {
  const byHash = database.prepare('SELECT rid FROM blob WHERE uuid = ? AND size >= 0');
  const shun = database.prepare('SELECT 1 FROM shun WHERE uuid = ?');
  const ridOf = (hash: string): number | undefined => {
    const rid = byHash.get(hash)?.['rid'];
    return typeof rid === 'number' ? rid : undefined;
  };
  const mustHave = (hash: string): number => {
    const rid = ridOf(hash);
    if (rid === undefined) throw new OperatorError(`The repository has no check-in ${hash}.`);
    return rid;
  };
  const manifest = (hash: string) => readManifest(readArtifact(database, mustHave(hash)));
  const branch = database.prepare(
    `SELECT value FROM tagxref JOIN tag USING (tagid) WHERE tagname = 'branch' AND tagtype > 0 AND rid = ?`,
  );
  const followers = database.prepare(
    `SELECT b.uuid AS uuid FROM plink p JOIN blob b ON b.rid = p.cid
       JOIN tagxref x ON x.rid = p.cid JOIN tag t ON t.tagid = x.tagid AND t.tagname = 'branch'
     WHERE p.pid = ? AND p.isprim AND x.tagtype > 0 AND x.srcid = 0 ORDER BY b.uuid`,
  );
  return {
    tree: (checkin) => {
      const files = treeOf(manifest(checkin), manifest);
      return new Map(
        [...files].map(([name, { hash, mode }]) => [
          name,
          { hash, flag: mode === '120000' ? ' l' : mode === '100755' ? ' x' : '' },
        ]),
      );
    },
    branch: (checkin) => {
      const value = branch.get(mustHave(checkin))?.['value'];
      return typeof value === 'string' ? value : undefined;
    },
    followers: (checkin) => followers.all(mustHave(checkin)).map((row) => String(row['uuid'])),
    shunned: (checkins) => checkins.every((hash) => shun.get(hash) !== undefined),
    missing: (checkins) => [...checkins].filter((hash) => ridOf(hash) === undefined),
  };
}

import type { DatabaseSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { artifactReader, byChains } from '../export/artifact.ts';
import { type Manifest, type ManifestFile, readManifest, treeOf } from '../export/manifest.ts';

/** What a repository says that Git has to have, read from the check-ins' own texts (manifests) and not from the tables that follow from them. */
export type FossilSide = {
  /** Hashes of the check-ins that everybody with a clone has. */
  checkins: ReadonlySet<string>;
  /** Those that were received after a moment. */
  later: ReadonlySet<string>;
  /** Files and check-ins that nobody may see: private ones, and shunned ones. */
  hidden: ReadonlySet<string>;
  /** Hashes of artifacts in an order in which their texts are read fast. */
  ordered: (hashes: Iterable<string>) => string[];
  /** A check-in's own text. */
  manifest: (hash: string) => Manifest;
  /** Its files, without those whose content is not there. */
  tree: (manifest: Manifest) => ManifestFile[];
};

/** How many texts are kept: check-ins in a row name the same one as their baseline. */
const kept = 20;

/**
 * @param database the repository alone
 * @param since milliseconds since 1970
 */
export function fossilSide(database: DatabaseSync, since: number): FossilSide {
  const rows = database
    .prepare(
      `SELECT uuid, size, rid, rid IN (SELECT rid FROM private) AS private, uuid IN (SELECT uuid FROM shun) AS shunned,
         rid IN (SELECT objid FROM event WHERE type = 'ci') AS checkin,
         (SELECT round((mtime - 2440587.5) * 86400000) FROM rcvfrom WHERE rcvid = blob.rcvid) AS received FROM blob`,
    )
    .all();
  const rids = new Map<string, number>();
  const [checkins, later, hidden] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const row of rows) {
    const hash = String(row['uuid']);
    if (row['private'] === 1 || row['shunned'] === 1) hidden.add(hash);
    else if (Number(row['size']) >= 0) {
      rids.set(hash, Number(row['rid']));
      if (row['checkin'] !== 1) continue;
      checkins.add(hash);
      if (Number(row['received'] ?? 0) > since) later.add(hash);
    }
  }
  const content = artifactReader(database);
  const manifests = new LRUCache<string, Manifest>({ max: kept });
  const manifest = (hash: string): Manifest => {
    const read = manifests.get(hash) ?? readManifest(content(rids.get(hash) ?? 0));
    manifests.set(hash, read);
    return read;
  };
  return {
    checkins,
    later,
    hidden,
    ordered: (hashes) => {
      const names = new Map([...hashes].map((hash) => [rids.get(hash) ?? 0, hash]));
      return byChains(database, names.keys()).map((rid) => names.get(rid) ?? '');
    },
    manifest,
    tree: (one) => [...treeOf(one, manifest).values()].filter(({ hash }) => rids.has(hash)),
  };
}

import { integer, oneOf, oneOfOrNull, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store, transaction } from './store.ts';
import { readTries, type Tries, triesColumns, untried, valuesOfTries } from './tries.ts';

export const mirrorParts = ['wiki', 'tickets'] as const;
/** What a mirror may have besides code, in the order in which it is brought there. */
export type PartName = (typeof mirrorParts)[number];

export const wikiPlaces = ['repository', 'branch'] as const;
/** Where a wiki goes: the host's own Git repository for wikis, or a branch beside the code. */
export type WikiPlace = (typeof wikiPlaces)[number];

/** How a part of a mirror stands. Instants are milliseconds since 1970. */
export type MirrorPart = Tries & {
  /** The mirror's id. */
  mirror: string;
  part: PartName;
  /** Of a wiki. */
  place: WikiPlace | null;
  /** What was last pushed of a wiki, and where. */
  ref: string | null;
  git: string | null;
  /** The stamp of the repository's file at the last success; see `mirror/export/seen.ts`. */
  stamp: string | null;
  /** How many issues, or pages, there are. */
  count: number;
};

const read = (row: Row): MirrorPart => ({
  mirror: text(row, 'mirror'),
  part: oneOf(row, 'part', mirrorParts),
  place: oneOfOrNull(row, 'place', wikiPlaces),
  ref: textOrNull(row, 'ref'),
  git: textOrNull(row, 'git'),
  stamp: textOrNull(row, 'stamp'),
  count: integer(row, 'count'),
  ...readTries(row),
});

const unwanted = { ...{ place: null, ref: null, git: null, stamp: null, count: 0 }, ...untried } as const;

/** A part as it stands; one that was never tried when nothing is known. */
export function mirrorPart(store: Store, mirror: string, part: PartName): MirrorPart {
  const row = first(store, 'SELECT * FROM mirror_part WHERE mirror = ? AND part = ?', mirror, part);
  return row ? read(row) : { ...unwanted, mirror, part };
}

/** Of every mirror what is wanted now and was before, by the mirror's id: what was switched off counts no longer. */
export const wantedParts = (store: Store): ReadonlyMap<string, MirrorPart[]> =>
  Map.groupBy(
    all(
      store,
      `SELECT p.* FROM mirror_part p JOIN mirror m ON m.id = p.mirror
         WHERE CASE p.part WHEN 'wiki' THEN m.wiki ELSE m.tickets END ORDER BY p.part DESC`,
    ).map(read),
    ({ mirror }) => mirror,
  );

/** Changes some fields. Nothing is kept of a mirror that was removed meanwhile. */
export function updateMirrorPart(
  store: Store,
  mirror: string,
  part: PartName,
  changes: Partial<Omit<MirrorPart, 'mirror' | 'part'>>,
): void {
  transaction(store, () => {
    const one = { ...mirrorPart(store, mirror, part), ...changes };
    change(
      store,
      `INSERT OR REPLACE INTO mirror_part(mirror, part, place, ref, git, stamp, count, ${triesColumns})
         SELECT ?1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)`,
      ...[mirror, part, one.place, one.ref, one.git, one.stamp, one.count, ...valuesOfTries(one)],
    );
  });
}

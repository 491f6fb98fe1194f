import { integer, integerOrNull, oneOf, oneOfOrNull, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store, transaction } from './store.ts';

export const mirrorParts = ['wiki', 'tickets'] as const;
/** What a mirror may have besides code, in the order in which it is brought there. */
export type PartName = (typeof mirrorParts)[number];

export const wikiPlaces = ['repository', 'branch'] as const;
/** Where a wiki goes: the host's own Git repository for wikis, or a branch beside the code. */
export type WikiPlace = (typeof wikiPlaces)[number];

/** How a part of a mirror stands. Instants are milliseconds since 1970. */
export type MirrorPart = {
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
  triedAt: number | null;
  okAt: number | null;
  /** How many issues, or pages, there are. */
  count: number;
  error: string | null;
  errorKind: string | null;
  failures: number;
  failingSince: number | null;
  /** Null: not by itself. */
  nextTryAt: number | null;
};

const read = (row: Row): MirrorPart => ({
  mirror: text(row, 'mirror'),
  part: oneOf(row, 'part', mirrorParts),
  place: oneOfOrNull(row, 'place', wikiPlaces),
  ref: textOrNull(row, 'ref'),
  git: textOrNull(row, 'git'),
  stamp: textOrNull(row, 'stamp'),
  triedAt: integerOrNull(row, 'tried_at'),
  okAt: integerOrNull(row, 'ok_at'),
  count: integer(row, 'count'),
  error: textOrNull(row, 'error'),
  errorKind: textOrNull(row, 'error_kind'),
  failures: integer(row, 'failures'),
  failingSince: integerOrNull(row, 'failing_since'),
  nextTryAt: integerOrNull(row, 'next_try_at'),
});

const untried = {
  ...{ place: null, ref: null, git: null, stamp: null, triedAt: null, okAt: null, count: 0 },
  ...{ error: null, errorKind: null, failures: 0, failingSince: null, nextTryAt: null },
} as const;

/** A part as it stands; one that was never tried when nothing is known. */
export function mirrorPart(store: Store, mirror: string, part: PartName): MirrorPart {
  const row = first(store, 'SELECT * FROM mirror_part WHERE mirror = ? AND part = ?', mirror, part);
  return row ? read(row) : { ...untried, mirror, part };
}

/** All that were ever wanted of a mirror. */
export const partsOf = (store: Store, mirror: string): MirrorPart[] =>
  all(store, 'SELECT * FROM mirror_part WHERE mirror = ? ORDER BY part DESC', mirror).map(read);

/** The ids of mirrors of which a part could not be brought there. */
export const mirrorsWithFailingParts = (store: Store): Set<string> =>
  new Set(
    all(store, 'SELECT mirror FROM mirror_part WHERE error IS NOT NULL').map((row) => text(row, 'mirror')),
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
      `INSERT OR REPLACE INTO mirror_part(mirror, part, place, ref, git, stamp, tried_at, ok_at, count, error, error_kind,
         failures, failing_since, next_try_at) SELECT ?1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
       WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)`,
      ...[mirror, part, one.place, one.ref, one.git, one.stamp, one.triedAt, one.okAt, one.count],
      ...[one.error, one.errorKind, one.failures, one.failingSince, one.nextTryAt],
    );
  });
}

import { OperatorError } from '../errors.ts';
import { flag, integer, integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store, transaction } from './store.ts';
import { readTries, type Tries, triesColumns, untried, valuesOfTries } from './tries.ts';

export const divergencePolicies = ['refuse', 'overwrite', 'keep'] as const;
/** What happens to what somebody else pushed to a mirror: nothing is pushed, it is overwritten, or refs that are not ours stay. */
export type DivergencePolicy = (typeof divergencePolicies)[number];

/** A Git remote that follows a repository. Instants are milliseconds since 1970. */
export type Mirror = Tries & {
  /** A UUID; what is sealed belongs to it. */
  id: string;
  /** The repository's id. */
  repository: string;
  /** Unique among the mirrors of a repository. */
  name: string;
  /** Never with a password in it. */
  url: string;
  /** The branch that Fossil's trunk is there. */
  main: string;
  /** Patterns of branches, with commas between; null: all. */
  branches: string | null;
  onDivergence: DivergencePolicy;
  /** How often at the latest it is looked whether there is something to push. Milliseconds. */
  everyMs: number;
  tickets: boolean;
  wiki: boolean;
  /** The login that the token belongs to. */
  user: string | null;
  /** The token, or with a public key the private one, encrypted with the instance key; see `mirror/credential.ts`. */
  sealedCredential: string | null;
  /** In OpenSSH's format; null without a deploy key. */
  publicKey: string | null;
  /** Lines of a known_hosts file; null where there is no SSH. */
  hostKeys: string | null;
  createdAt: number;
  /** When it was last compared with the remote itself; null before the first time, and so with the others. */
  comparedAt: number | null;
  /** The stamp of the repository's file at the last success; see `mirror/export/seen.ts`. */
  stamp: string | null;
  /** How many public check-ins the repository had at the last success. */
  checkins: number;
  /** When the restore was that took something away which had been pushed, and the instant whose state it brought back. */
  rewoundAt: number | null;
  rewoundTo: number | null;
  /** When it was last to be verified, whatever came of it. */
  verifyTriedAt: number | null;
  /** When it was last verified with an answer, and what was wrong then. */
  verifiedAt: number | null;
  verifyError: string | null;
};

const read = (row: Row): Mirror => ({
  id: text(row, 'id'),
  repository: text(row, 'repository'),
  name: text(row, 'name'),
  url: text(row, 'url'),
  main: text(row, 'main'),
  branches: textOrNull(row, 'branches'),
  onDivergence: oneOf(row, 'on_divergence', divergencePolicies),
  everyMs: integer(row, 'every_ms'),
  tickets: flag(row, 'tickets'),
  wiki: flag(row, 'wiki'),
  user: textOrNull(row, 'user'),
  sealedCredential: textOrNull(row, 'sealed_credential'),
  publicKey: textOrNull(row, 'public_key'),
  hostKeys: textOrNull(row, 'host_keys'),
  createdAt: integer(row, 'created_at'),
  ...readTries(row),
  comparedAt: integerOrNull(row, 'compared_at'),
  stamp: textOrNull(row, 'stamp'),
  checkins: integer(row, 'checkins'),
  rewoundAt: integerOrNull(row, 'rewound_at'),
  rewoundTo: integerOrNull(row, 'rewound_to'),
  verifyTriedAt: integerOrNull(row, 'verify_tried_at'),
  verifiedAt: integerOrNull(row, 'verified_at'),
  verifyError: textOrNull(row, 'verify_error'),
});

/** The columns in the order of `valuesOf`. */
const columns = `id, repository, name, url, main, branches, on_divergence, every_ms, tickets, wiki, user, sealed_credential,
  public_key, host_keys, created_at, compared_at, stamp, checkins, rewound_at, rewound_to, verify_tried_at, verified_at, verify_error,
  ${triesColumns}`;

const valuesOf = (one: Mirror) => [
  ...[one.id, one.repository, one.name, one.url, one.main, one.branches, one.onDivergence, one.everyMs],
  ...[Number(one.tickets), Number(one.wiki), one.user, one.sealedCredential, one.publicKey, one.hostKeys],
  ...[one.createdAt, one.comparedAt, one.stamp, one.checkins, one.rewoundAt, one.rewoundTo],
  ...[one.verifyTriedAt, one.verifiedAt, one.verifyError],
  ...valuesOfTries(one),
];

/** What a mirror is before its first try. */
export const untriedMirror = {
  ...untried,
  comparedAt: null,
  stamp: null,
  checkins: 0,
  rewoundAt: null,
  rewoundTo: null,
  verifyTriedAt: null,
  verifiedAt: null,
  verifyError: null,
} as const;

/** What is decided when a mirror is added; the rest follows from trying it. */
export type NewMirror = Omit<Mirror, keyof typeof untriedMirror> & Partial<Mirror>;

/** @throws OperatorError when the repository has one of that name */
export function insertMirror(store: Store, mirror: NewMirror): Mirror {
  const made: Mirror = { ...untriedMirror, ...mirror };
  return transaction(store, () => {
    if (findMirror(store, mirror.repository, mirror.name))
      throw new OperatorError(`There is already a mirror ${mirror.name}.`, {
        next: 'Choose another --name.',
        exit: 'usage',
      });
    const values = valuesOf(made);
    change(store, `INSERT INTO mirror(${columns}) VALUES (${values.map(() => '?').join(', ')})`, ...values);
    return made;
  });
}

/** By the repository's id and its own name. */
export function findMirror(store: Store, repository: string, name: string): Mirror | undefined {
  const row = first(store, 'SELECT * FROM mirror WHERE repository = ? AND name = ?', repository, name);
  return row && read(row);
}

export function findMirrorById(store: Store, id: string): Mirror | undefined {
  const row = first(store, 'SELECT * FROM mirror WHERE id = ?', id);
  return row && read(row);
}

/** All of one repository, by name. */
export const mirrorsOf = (store: Store, repository: string): Mirror[] =>
  all(store, 'SELECT * FROM mirror WHERE repository = ? ORDER BY name', repository).map(read);

/** All mirrors of repositories that are in service, by the repositories' and their own names. */
export const servedMirrors = (store: Store): Mirror[] =>
  all(
    store,
    `SELECT m.* FROM mirror m JOIN repository r ON r.id = m.repository WHERE r.state = 'active' ORDER BY r.name, m.name`,
  ).map(read);

/** All there are, of deleted repositories too. */
export const allMirrors = (store: Store): Mirror[] =>
  all(store, 'SELECT * FROM mirror ORDER BY id').map(read);

/** The files of repositories in service that have mirrors, relative to `paths.data`, each once. */
export const mirroredFiles = (store: Store): { repository: string; file: string }[] =>
  all(
    store,
    "SELECT id, file FROM repository WHERE state = 'active' AND id IN (SELECT repository FROM mirror) ORDER BY name",
  ).map((row) => ({ repository: text(row, 'id'), file: text(row, 'file') }));

/**
 * Changes some fields. @returns what it is then; undefined when it was removed meanwhile
 * @throws OperatorError when its new name is taken
 */
export function updateMirror(
  store: Store,
  id: string,
  changes: Partial<Omit<Mirror, 'id' | 'repository'>>,
): Mirror | undefined {
  return transaction(store, () => {
    const before = findMirrorById(store, id);
    if (!before) return undefined;
    const after = { ...before, ...changes };
    if (after.name !== before.name && findMirror(store, before.repository, after.name))
      throw new OperatorError(`There is already a mirror ${after.name}.`, { exit: 'usage' });
    const values = valuesOf(after);
    change(
      store,
      `UPDATE mirror SET (${columns}) = (${values.map(() => '?').join(', ')}) WHERE id = ?`,
      ...values,
      id,
    );
    return after;
  });
}

/** Forgets a mirror with its refs and runs. */
export const removeMirror = (store: Store, id: string): boolean =>
  change(store, 'DELETE FROM mirror WHERE id = ?', id) > 0;

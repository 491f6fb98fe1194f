import { OperatorError } from '../errors.ts';
import { integer, integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { all, change, first, type Store, transaction } from './store.ts';
import { readTries, type Tries, triesColumns, untried, valuesOfTries } from './tries.ts';

export const upstreamKinds = ['fossil', 'git'] as const;
export type UpstreamKind = (typeof upstreamKinds)[number];

/** What a repository follows. Instants are milliseconds since 1970. */
export type Upstream = Tries & {
  /** A UUID; what is sealed belongs to it. */
  id: string;
  /** The repository's id; each has at most one. */
  repository: string;
  kind: UpstreamKind;
  /** Never with a password in it. */
  url: string;
  /** How often it is looked at. Milliseconds. */
  everyMs: number;
  /** The login that the token or password belongs to. */
  user: string | null;
  /** The token or password, or with a public key the private one, encrypted with the instance key. */
  sealedCredential: string | null;
  /** In OpenSSH's format; null without a deploy key. */
  publicKey: string | null;
  /** Lines of a known_hosts file; null where there is no SSH. */
  hostKeys: string | null;
  createdAt: number;
  /** When something came the last time, and what, in words. */
  cameAt: number | null;
  came: string | null;
};

/** What an upstream is before its first try. */
export const unpulled = { ...untried, cameAt: null, came: null } as const;

const read = (row: Row): Upstream => ({
  id: text(row, 'id'),
  repository: text(row, 'repository'),
  kind: oneOf(row, 'kind', upstreamKinds),
  url: text(row, 'url'),
  everyMs: integer(row, 'every_ms'),
  user: textOrNull(row, 'user'),
  sealedCredential: textOrNull(row, 'sealed_credential'),
  publicKey: textOrNull(row, 'public_key'),
  hostKeys: textOrNull(row, 'host_keys'),
  createdAt: integer(row, 'created_at'),
  cameAt: integerOrNull(row, 'came_at'),
  came: textOrNull(row, 'came'),
  ...readTries(row),
});

/** The columns in the order of `valuesOf`. */
const columns = `id, repository, kind, url, every_ms, user, sealed_credential, public_key, host_keys, created_at,
  came_at, came, ${triesColumns}`;

const valuesOf = (one: Upstream) => [
  ...[one.id, one.repository, one.kind, one.url, one.everyMs, one.user, one.sealedCredential],
  ...[one.publicKey, one.hostKeys, one.createdAt, one.cameAt, one.came],
  ...valuesOfTries(one),
];

/** Sets what a repository follows, in place of what it followed before. */
export function setUpstream(store: Store, one: Upstream): void {
  const values = valuesOf(one);
  transaction(store, () => {
    change(store, 'DELETE FROM upstream WHERE repository = ?', one.repository);
    change(store, `INSERT INTO upstream(${columns}) VALUES (${values.map(() => '?').join(', ')})`, ...values);
  });
}

export function findUpstream(store: Store, repository: string): Upstream | undefined {
  const row = first(store, 'SELECT * FROM upstream WHERE repository = ?', repository);
  return row && read(row);
}

/** @throws OperatorError (usage) when the repository follows nothing @param name the repository's, for people */
export function getUpstream(store: Store, repository: string, name: string): Upstream {
  const found = findUpstream(store, repository);
  if (found) return found;
  throw new OperatorError(`${name} follows no upstream.`, {
    next: `fossilrepo upstream set ${name} URL gives it one.`,
    exit: 'usage',
  });
}

/** All upstreams of repositories that are in service and may be written, by the repositories' names. */
export const servedUpstreams = (store: Store): Upstream[] =>
  all(
    store,
    `SELECT u.* FROM upstream u JOIN repository r ON r.id = u.repository
     WHERE r.state = 'active' AND r.archived = 0 ORDER BY r.name`,
  ).map(read);

/** Changes some fields; one that was removed or replaced meanwhile stays as it is. */
export function updateUpstream(
  store: Store,
  id: string,
  changes: Partial<Omit<Upstream, 'id' | 'repository'>>,
): void {
  transaction(store, () => {
    const row = first(store, 'SELECT * FROM upstream WHERE id = ?', id);
    if (!row) return;
    const values = valuesOf({ ...read(row), ...changes });
    change(
      store,
      `UPDATE upstream SET (${columns}) = (${values.map(() => '?').join(', ')}) WHERE id = ?`,
      ...values,
      id,
    );
  });
}

/** The repository follows nothing from now on. What was imported stays known: see `git-imports.ts`. */
export const removeUpstream = (store: Store, id: string): boolean =>
  change(store, 'DELETE FROM upstream WHERE id = ?', id) > 0;

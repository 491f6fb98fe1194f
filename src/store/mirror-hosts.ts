import { type HostKind, hostKinds } from '../mirror/host-kinds.ts';
import { integerOrNull, oneOf, type Row, text, textOrNull } from './rows.ts';
import { change, first, type Store } from './store.ts';

/** The API of a mirror's host. Instants are milliseconds since 1970. */
export type MirrorHost = {
  /** The mirror's id. */
  mirror: string;
  kind: HostKind;
  api: string;
  /** `owner/name` */
  path: string;
  /** A token for the API alone, encrypted with the instance key; null: the one that git uses. */
  sealedToken: string | null;
  /** When the token ends; null: never, or nobody knows. */
  expiresAt: number | null;
  /** When that was asked. */
  askedAt: number | null;
};

const read = (row: Row): MirrorHost => ({
  mirror: text(row, 'mirror'),
  kind: oneOf(row, 'kind', hostKinds),
  api: text(row, 'api'),
  path: text(row, 'path'),
  sealedToken: textOrNull(row, 'sealed_token'),
  expiresAt: integerOrNull(row, 'expires_at'),
  askedAt: integerOrNull(row, 'asked_at'),
});

/** Undefined: only git is spoken with it. */
export function mirrorHost(store: Store, mirror: string): MirrorHost | undefined {
  const row = first(store, 'SELECT * FROM mirror_host WHERE mirror = ?', mirror);
  return row && read(row);
}

/** Nothing is kept of a mirror that was removed meanwhile. */
export const setMirrorHost = (store: Store, one: MirrorHost): boolean =>
  change(
    store,
    `INSERT INTO mirror_host(mirror, kind, api, path, sealed_token, expires_at, asked_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
     WHERE EXISTS (SELECT 1 FROM mirror WHERE id = ?1)
     ON CONFLICT(mirror) DO UPDATE SET kind = excluded.kind, api = excluded.api, path = excluded.path,
       sealed_token = excluded.sealed_token, expires_at = excluded.expires_at, asked_at = excluded.asked_at`,
    ...[one.mirror, one.kind, one.api, one.path, one.sealedToken, one.expiresAt, one.askedAt],
  ) > 0;

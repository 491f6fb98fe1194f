import type { Forge } from '../forge.ts';
import { mirrorHost } from '../store/mirror-hosts.ts';
import { mirrorPart, type PartName } from '../store/mirror-parts.ts';
import type { Mirror } from '../store/mirrors.ts';
import { wikiPlace, wikiUrl } from './wiki/sync.ts';
import { isoOrNull } from '../system/instant.ts';

/** How one part stands. Instants are ISO 8601. */
export type DescribedPart = {
  /** Issues, or pages. */
  count: number;
  lastSuccess: string | null;
  error: string | null;
  failingSince: string | null;
  nextTry: string | null;
};

/** What a mirror has besides code; null: it is not wanted. */
export type DescribedParts = {
  tickets: DescribedPart | null;
  wiki: (DescribedPart & { place: string }) | null;
  /** Whose API is spoken there; null: none. */
  host: { kind: string; api: string; project: string } | null;
  /** When the token ends; null: never, or the host doesn't tell. */
  tokenExpires: string | null;
};

export function describeParts({ store }: Pick<Forge, 'store'>, mirror: Mirror): DescribedParts {
  const host = mirrorHost(store, mirror.id);
  const place = wikiPlace({ store }, mirror) === 'branch' ? 'branch fossil-wiki' : wikiUrl(mirror.url);
  return {
    tickets: mirror.tickets ? partOf({ store }, mirror, 'tickets') : null,
    wiki: mirror.wiki ? { ...partOf({ store }, mirror, 'wiki'), place } : null,
    host: host ? { kind: host.kind, api: host.api, project: host.path } : null,
    tokenExpires: isoOrNull(host?.expiresAt ?? null),
  };
}

function partOf({ store }: Pick<Forge, 'store'>, { id }: Mirror, part: PartName): DescribedPart {
  const { count, okAt, error, failingSince, nextTryAt } = mirrorPart(store, id, part);
  return {
    count,
    lastSuccess: isoOrNull(okAt),
    error,
    failingSince: isoOrNull(failingSince),
    nextTry: isoOrNull(nextTryAt),
  };
}

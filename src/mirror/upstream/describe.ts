import { showSchedule } from '../../plan/schedule.ts';
import type { Repository } from '../../store/repositories.ts';
import type { Upstream } from '../../store/upstreams.ts';
import { pinnedHostKeys } from '../remote/host-keys.ts';
import { isoOrNull } from '../../system/instant.ts';

/** An upstream as `upstream show --json` tells it. Instants are ISO 8601. Never with its credential. */
export type DescribedUpstream = {
  repository: string;
  kind: Upstream['kind'];
  url: string;
  schedule: string;
  user: string | null;
  credential: 'token or password' | 'ssh key' | 'none';
  hostKeys: { type: string; fingerprint: string }[];
  /** Whether the last try succeeded; null before the first. */
  ok: boolean | null;
  lastSuccess: string | null;
  lastTry: string | null;
  /** When something came the last time, and what. */
  lastNews: { at: string; what: string } | null;
  /** In plain words. */
  error: string | null;
  errorKind: string | null;
  failingSince: string | null;
  /** Null: not by itself. */
  nextTry: string | null;
};

export function describeUpstream(row: Pick<Repository, 'name'>, one: Upstream): DescribedUpstream {
  const { kind, url, user, error, errorKind } = one;
  return {
    ...{ repository: row.name, kind, url, user, error, errorKind },
    schedule: showSchedule(one.everyMs),
    credential:
      one.sealedCredential === null ? 'none' : one.publicKey === null ? 'token or password' : 'ssh key',
    hostKeys: pinnedHostKeys(one.hostKeys ?? undefined).map(({ type, fingerprint }) => ({
      type,
      fingerprint,
    })),
    ok: error !== null ? false : one.okAt === null ? null : true,
    lastSuccess: isoOrNull(one.okAt),
    lastTry: isoOrNull(one.triedAt),
    lastNews: one.cameAt === null ? null : { at: isoOrNull(one.cameAt) ?? '', what: one.came ?? '' },
    failingSince: isoOrNull(one.failingSince),
    nextTry: isoOrNull(error === null ? (one.triedAt ?? one.createdAt) + one.everyMs : one.nextTryAt),
  };
}

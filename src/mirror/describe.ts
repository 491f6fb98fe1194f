import type { Forge } from '../forge.ts';
import { showSchedule } from '../plan/schedule.ts';
import { comparisonPause, waitsForHand } from '../plan/sync.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { behindOf } from './behind.ts';
import { describeParts, type DescribedParts } from './describe-parts.ts';
import { pinnedHostKeys } from './remote/host-keys.ts';
import { isoOrNull } from '../system/instant.ts';

/** A mirror as `mirror list --json` and `mirror show --json` tell it. Instants are ISO 8601. */
export type DescribedMirror = DescribedParts & {
  repository: string;
  name: string;
  id: string;
  url: string;
  main: string;
  /** Patterns with commas between; null: all. */
  branches: string | null;
  onDivergence: Mirror['onDivergence'];
  schedule: string;
  credential: 'token' | 'deploy key' | 'none';
  /** Who the token belongs to. */
  user: string | null;
  publicKey: string | null;
  hostKeys: { type: string; fingerprint: string }[];
  /** Whether the last try succeeded; null before the first. */
  ok: boolean | null;
  lastSuccess: string | null;
  lastTry: string | null;
  lastCompared: string | null;
  /** In plain words. */
  error: string | null;
  failingSince: string | null;
  /** Null: not before it is configured anew, or asked for. */
  nextTry: string | null;
  /** How many check-ins it lacks; null when the repository can't be read. */
  behind: number | null;
  /** How many branches and tags are to be made, moved or deleted there: a tag alone is no check-in. */
  refsBehind: number | null;
  rewound: { at: string; to: string } | null;
  verified: { at: string; ok: boolean; error: string | null } | null;
};

/** A mirror with how it stands now. Never with its credential. */
export function describeMirror(
  { paths, store }: Pick<Forge, 'paths' | 'store'>,
  row: Pick<Repository, 'name' | 'file'>,
  mirror: Mirror,
  now = Date.now(),
): DescribedMirror {
  const behind = behindOf({ paths, store }, row, mirror);
  const { id, name, url, main, branches, onDivergence, user, publicKey, error } = mirror;
  return {
    ...{ repository: row.name, name, id, url, main, branches, onDivergence, user, publicKey, error },
    ...describeParts({ store }, mirror),
    schedule: showSchedule(mirror.everyMs),
    credential: mirror.sealedCredential === null ? 'none' : publicKey === null ? 'token' : 'deploy key',
    hostKeys: pinnedHostKeys(mirror.hostKeys ?? undefined).map(({ type, fingerprint }) => ({
      type,
      fingerprint,
    })),
    ok: error !== null ? false : mirror.okAt === null ? null : true,
    lastSuccess: isoOrNull(mirror.okAt),
    lastTry: isoOrNull(mirror.triedAt),
    lastCompared: isoOrNull(mirror.comparedAt),
    failingSince: isoOrNull(mirror.failingSince),
    nextTry: isoOrNull(nextTryOf(mirror, now)),
    behind: behind?.checkins ?? null,
    refsBehind: behind?.refs ?? null,
    rewound:
      mirror.rewoundAt === null
        ? null
        : {
            at: isoOrNull(mirror.rewoundAt) ?? '',
            to: isoOrNull(mirror.rewoundTo ?? mirror.rewoundAt) ?? '',
          },
    verified:
      mirror.verifiedAt === null
        ? null
        : {
            at: isoOrNull(mirror.verifiedAt) ?? '',
            ok: mirror.verifyError === null,
            error: mirror.verifyError,
          },
  };
}

/** When it is looked at next without anything being pushed. Milliseconds since 1970; null: not by itself. */
export function nextTryOf(
  mirror: Pick<Mirror, 'errorKind' | 'nextTryAt' | 'comparedAt'>,
  now: number,
): number | null {
  if (mirror.errorKind !== null) return waitsForHand(mirror) ? null : (mirror.nextTryAt ?? now);
  return mirror.comparedAt === null ? now : mirror.comparedAt + comparisonPause;
}

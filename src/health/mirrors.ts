import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { checkinsBehind } from '../mirror/behind.ts';
import { changedAt } from '../mirror/export/seen.ts';
import { nextTryOf } from '../mirror/describe.ts';
import { stampIfThere } from '../mirror/look.ts';
import { waitsForHand } from '../plan/sync.ts';
import { type Mirror, servedMirrors } from '../store/mirrors.ts';
import { mirrorHost } from '../store/mirror-hosts.ts';
import { type MirrorPart, type PartName, wantedParts } from '../store/mirror-parts.ts';
import { findRepositoryById } from '../store/repositories.ts';
import { isoOrNull, untilThen } from '../system/instant.ts';
import { lastSuccess, levelOf } from './failing.ts';
import type { Finding } from './finding.ts';

/** How one mirror stands. */
export type MirrorSeen = {
  /** The repository's name. */
  repository: string;
  mirror: Pick<
    Mirror,
    | 'name'
    | 'url'
    | 'error'
    | 'errorKind'
    | 'failingSince'
    | 'triedAt'
    | 'okAt'
    | 'nextTryAt'
    | 'comparedAt'
    | 'verifyError'
  >;
  /** Since when the repository differs from what was mirrored, at least; null when it doesn't. Milliseconds since 1970. */
  differsSince: number | null;
  /** What it has besides code. */
  parts: Pick<MirrorPart, 'part' | 'error' | 'errorKind' | 'failingSince' | 'okAt' | 'nextTryAt'>[];
  /** When its token ends. Milliseconds since 1970; null: never, or nobody knows. */
  expiresAt: number | null;
  /** How many check-ins one that fails lacks; null when it wasn't counted. */
  behind: number | null;
};

/** How all stand, in numbers, and each whose code, tickets or wiki can't be brought there. */
export type MirrorsSummary = {
  mirrors: number;
  current: number;
  /** Those of which code, tickets or wiki can't be brought there. */
  failing: number;
  failures: MirrorFailure[];
};

/** Instants are ISO 8601. */
export type MirrorFailure = {
  repository: string;
  mirror: string;
  part: 'code' | PartName;
  error: string;
  failingSince: string | null;
  lastSuccess: string | null;
  /** Null: not before it is configured anew, or asked for. */
  nextTry: string | null;
  /** How many check-ins it lacks; null when it wasn't counted, as of tickets and wiki. */
  behind: number | null;
};

/** The timer comes every five minutes, and a first push may take long. Milliseconds. */
const untried = 3 * 3_600_000;
/** How many are named. */
const named = 5;
/** Of how many it is counted how far they are behind: a host that is down makes all its mirrors fail. */
const counted = 20;

/**
 * What the management database and the files' times say: nobody is asked.
 * @param counting whether it is counted how far those that fail are behind, for which their repositories are opened
 */
export function mirrorsSeen(
  { store, paths }: Pick<Forge, 'store' | 'paths'>,
  { counting = false } = {},
): MirrorSeen[] {
  let left = counting ? counted : 0;
  const parts = wantedParts(store);
  return servedMirrors(store).flatMap((mirror) => {
    const row = findRepositoryById(store, mirror.repository);
    if (!row) return [];
    const file = join(paths.data, row.file);
    const stamp = stampIfThere(file);
    const differs = stamp !== undefined && stamp !== mirror.stamp;
    const since = differs ? Math.max(changedAt(file), mirror.triedAt ?? mirror.createdAt) : null;
    const behind = mirror.error !== null && left-- > 0 ? checkinsBehind({ paths }, row, mirror) : undefined;
    return [
      {
        ...{ repository: row.name, mirror, differsSince: since, behind: behind ?? null },
        parts: parts.get(mirror.id) ?? [],
        expiresAt: mirrorHost(store, mirror.id)?.expiresAt ?? null,
      },
    ];
  });
}

export function summaryOfMirrors(seen: readonly MirrorSeen[], now: number): MirrorsSummary {
  const fails = ({ mirror, parts }: MirrorSeen) => [mirror, ...parts].some(({ error }) => error !== null);
  const failing = seen.filter(fails);
  return {
    mirrors: seen.length,
    current: seen.filter((one) => !fails(one) && one.differsSince === null).length,
    failing: failing.length,
    failures: failing.flatMap((one) => failuresOf(one, now)),
  };
}

function failuresOf({ repository, mirror, parts, behind }: MirrorSeen, now: number): MirrorFailure[] {
  const all = [
    { ...mirror, part: 'code' as const, behind, nextTryAt: nextTryOf(mirror, now) },
    ...parts.map((part) => ({ ...part, behind: null })),
  ];
  return all.flatMap(({ part, error, failingSince, okAt, nextTryAt, behind }) => {
    if (error === null) return [];
    const times = {
      failingSince: isoOrNull(failingSince),
      lastSuccess: isoOrNull(okAt),
      nextTry: isoOrNull(nextTryAt),
    };
    return [{ repository, mirror: mirror.name, part, error, ...times, behind }];
  });
}

/** What fails (red after a day), what was found wrong, and whether anybody tries at all. */
export function mirrorFindings(seen: readonly MirrorSeen[], now: number): Finding[] {
  const failing = seen.filter(({ mirror }) => mirror.error !== null);
  // A host that is down fails all its mirrors at once.
  const reasons = Map.groupBy(failing, ({ mirror }) => `${hostOf(mirror.url)} ${mirror.errorKind ?? ''}`);
  const late = seen.filter(
    ({ mirror, differsSince }) =>
      mirror.error === null && differsSince !== null && now - differsSince > untried,
  );
  return [
    ...[...reasons.values()].map((members) => failure(members, now)),
    ...seen.flatMap(({ repository, mirror }): Finding[] =>
      mirror.verifyError === null
        ? []
        : [
            {
              level: 'red',
              about: repository,
              what: `The mirror ${mirror.name} of ${repository} is not what it should be: ${mirror.verifyError}`,
              next: `Try again: fossilrepo mirror verify ${repository}`,
            },
          ],
    ),
    ...(late.length === 0 ? [] : [untriedFinding(late)]),
  ];
}

function failure(members: readonly MirrorSeen[], now: number): Finding {
  const [first] = members;
  const since = Math.min(...members.map(({ mirror }) => mirror.failingSince ?? now));
  const names = members.map(({ repository, mirror }) => `${repository} to ${mirror.name}`);
  const who = names.length === 1 ? names.join('') : `${names.length} mirrors (${listed(names)})`;
  const repository = first?.repository ?? '';
  const byHand = first !== undefined && waitsForHand(first.mirror);
  return {
    level: levelOf({ failingSince: since }, now),
    about: names.length === 1 ? repository : 'mirrors',
    what: `Not mirrored: ${who}: ${first?.mirror.error ?? ''}`,
    next: byHand
      ? `${standing(members, now)}. It is not tried again by itself. Mend it there, or fossilrepo mirror configure ${repository} ${first.mirror.name}; then fossilrepo sync ${repository}`
      : `${standing(members, now)}; it is tried again ${untilNext(members, now)}. At once: fossilrepo sync ${repository}`,
  };
}

/** When it succeeded last, and how far it is behind; of several, of the worst. What changes all the time makes no news here. */
function standing(members: readonly MirrorSeen[], now: number): string {
  const never = members.some(({ mirror }) => mirror.okAt === null);
  const oldest = Math.min(...members.flatMap(({ mirror }) => mirror.okAt ?? []));
  const lacking = members.flatMap(({ behind }) => behind ?? []);
  const most = Math.max(...lacking);
  return [
    lastSuccess({ okAt: never ? null : oldest }, now),
    ...(lacking.length === 0
      ? []
      : [`${members.length === 1 ? '' : 'up to '}${most} ${most === 1 ? 'check-in' : 'check-ins'} behind`]),
  ].join(', ');
}

const untilNext = (members: readonly MirrorSeen[], now: number): string =>
  untilThen(Math.min(...members.map(({ mirror }) => nextTryOf(mirror, now) ?? now)), now);

const untriedFinding = (late: readonly MirrorSeen[]): Finding => ({
  level: 'yellow',
  about: 'mirrors',
  what: `Nobody brings mirrors up to date: ${listed(late.map(({ repository, mirror }) => `${repository} to ${mirror.name}`))}`,
  next: 'If what begins it does not run, fossilrepo apply starts it. Else read why with: fossilrepo logs sync. By hand: fossilrepo sync',
});

const listed = (names: readonly string[]): string =>
  names.slice(0, named).join(', ') + (names.length > named ? ` and ${names.length - named} more` : '');

/** What stands before the path in an address. */
const hostOf = (url: string): string => /^(?:\w+:\/\/)?(?:[^@/]*@)?([^/:]*)/.exec(url)?.[1] ?? url;

import type { MirrorPart } from '../store/mirror-parts.ts';
import type { Mirror } from '../store/mirrors.ts';

/** What is known of a repository's file at one look. Instants are milliseconds since 1970. */
export type Seen = {
  /** See `mirror/export/seen.ts`. */
  stamp: string;
  /** When it was last written to, as the file system tells. */
  changedAt: number;
  /** Since when it is this one. */
  since: number;
  /** Since when it has been changing without a pause. */
  restlessSince: number;
};

/** Why a mirror is looked at. */
export type Why = 'new' | 'push' | 'schedule' | 'retry' | 'comparison' | 'asked';

/** What decides when a mirror is looked at next. */
export type MirrorTimes = Pick<
  Mirror,
  'id' | 'repository' | 'everyMs' | 'stamp' | 'triedAt' | 'okAt' | 'comparedAt' | 'errorKind' | 'nextTryAt'
>;

/** What decides when tickets or a wiki are looked at. */
export type PartTimes = Pick<MirrorPart, 'stamp' | 'errorKind' | 'nextTryAt'> & {
  /** Whether it needs nothing of what git signs in with. */
  ownCredential: boolean;
};

/** A mirror that it is time for, and why. `partsOnly`: for its tickets and its wiki, while its code waits. */
export type DueMirror<M> = { mirror: M; why: Why; partsOnly?: true };

const minute = 60_000;

/** A check-in of which something has not been received is looked for again after so long. Milliseconds. */
export const waitingPause = minute;
/** A push is several writes: one that has just ended may have a next. Milliseconds. */
export const settling = 5_000;
/** Somebody who writes without a pause is not waited for longer. Milliseconds. */
const longestWait = 30_000;
/** How often a mirror is compared with the remote itself, since somebody else may have changed it. Milliseconds. */
export const comparisonPause = 24 * 60 * minute;
/** After each failure in a row; the last goes on. Milliseconds. */
const retries = [minute, 5 * minute, 15 * minute, 60 * minute] as const;
const longestRetry = 60 * minute;

/** What a person has to mend: trying again by itself would only lock the account. `adding`: `mirror add` has not ended well yet. */
const byHand: ReadonlySet<string> = new Set(['credential', 'host-key', 'adding']);

/** What concerns some refs only: what is new on others can go there at once. */
const ofSomeRefs: ReadonlySet<string> = new Set(['diverged', 'rejected']);

/** Whether it is tried again only when it was configured anew or somebody asks. */
export const waitsForHand = ({ errorKind }: Pick<Mirror, 'errorKind'>): boolean =>
  errorKind !== null && byHand.has(errorKind);

/** What a look at a file says, after a former one. A stamp that was never seen before is taken for an old one. */
export function lookedAt(
  former: Seen | undefined,
  look: Pick<Seen, 'stamp' | 'changedAt'>,
  now: number,
): Seen {
  if (former === undefined) return { ...look, since: 0, restlessSince: 0 };
  if (former.stamp === look.stamp) return former;
  const restless = Math.abs(now - former.since) < settling;
  return { ...look, since: now, restlessSince: restless ? former.restlessSince : now };
}

/**
 * The mirrors that it is time for, with the reason, each judged alone. A repository that wasn't seen has no file now: its mirrors wait.
 * @param seen by the repository's id
 * @param parts of mirrors whose code fails, by the mirror's id: what others have goes with their code
 */
export const dueMirrors = <M extends MirrorTimes>(
  mirrors: readonly M[],
  seen: ReadonlyMap<string, Seen>,
  now: number,
  parts: ReadonlyMap<string, readonly PartTimes[]> = new Map(),
): DueMirror<M>[] =>
  mirrors.flatMap((mirror): DueMirror<M>[] => {
    const file = seen.get(mirror.repository);
    if (!file) return [];
    const why = reasonFor(mirror, file, now);
    if (why !== undefined) return [{ mirror, why }];
    // What was never tried was not added to the end.
    if (mirror.errorKind === null || mirror.triedAt === null) return [];
    const [first] = (parts.get(mirror.id) ?? []).flatMap((part) =>
      sharesRefusal(mirror, part) ? [] : (reasonForPart(part, file, now) ?? []),
    );
    return first === undefined ? [] : [{ mirror, why: first, partsOnly: true }];
  });

/** Whether a part needs what was refused to the code: it is not tried again for the part's sake either. */
export const sharesRefusal = (
  mirror: Pick<Mirror, 'errorKind'>,
  { ownCredential }: Pick<PartTimes, 'ownCredential'>,
): boolean => waitsForHand(mirror) && !ownCredential;

function reasonForPart(part: PartTimes, file: Seen, now: number): Why | undefined {
  if (waitsForHand(part)) return undefined;
  if (part.nextTryAt !== null) {
    if (!isTime(part, now)) return undefined;
    return part.errorKind === null ? 'schedule' : 'retry';
  }
  return part.stamp !== file.stamp && hasSettled(file, now) ? 'push' : undefined;
}

function reasonFor(mirror: MirrorTimes, file: Seen, now: number): Why | undefined {
  if (mirror.errorKind !== null) {
    if (waitsForHand(mirror)) return undefined;
    if (isTime(mirror, now)) return 'retry';
    const isNew = file.changedAt > (mirror.triedAt ?? 0) && file.changedAt <= now;
    // What was written in the future, by a clock that was set back, would be new after each try.
    return ofSomeRefs.has(mirror.errorKind) && isNew && hasSettled(file, now) ? 'push' : undefined;
  }
  if (mirror.okAt === null) return 'new';
  // Something of it had not been received yet.
  if (mirror.nextTryAt !== null && isTime(mirror, now)) return 'schedule';
  if (mirror.comparedAt === null || hasPassed(mirror.comparedAt, comparisonPause, now)) return 'comparison';
  if (mirror.stamp !== file.stamp) {
    if (hasSettled(file, now)) return 'push';
    if (hasPassed(mirror.triedAt ?? 0, mirror.everyMs, now)) return 'schedule';
  }
  return undefined;
}

/** A clock that was set back must not keep a mirror waiting. */
export const isTime = ({ nextTryAt }: Pick<MirrorTimes, 'nextTryAt'>, now: number): boolean =>
  nextTryAt === null || now >= nextTryAt || nextTryAt - now > longestRetry;

const hasSettled = ({ since, restlessSince }: Seen, now: number): boolean =>
  hasPassed(since, settling, now) || hasPassed(restlessSince, longestWait, now);

const hasPassed = (since: number, pause: number, now: number): boolean => Math.abs(now - since) >= pause;

/** The mirrors that somebody who names no repository means: what differs, what failed, what was not compared for a day. */
export const unfinishedMirrors = <M extends MirrorTimes>(
  mirrors: readonly M[],
  seen: ReadonlyMap<string, Seen>,
  now: number,
): { mirror: M; why: Why }[] =>
  mirrors.flatMap((mirror) => {
    const file = seen.get(mirror.repository);
    if (!file) return [];
    const why = mirror.errorKind !== null ? 'asked' : reasonFor(mirror, { ...file, since: 0 }, now);
    return why === undefined ? [] : [{ mirror, why }];
  });

/** When a mirror that failed is tried again, after so many failures in a row; null: not by itself. */
export function nextTry(errorKind: string, failures: number, now: number): number | null {
  if (byHand.has(errorKind)) return null;
  return now + (retries[Math.max(1, failures) - 1] ?? longestRetry);
}

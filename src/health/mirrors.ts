import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { stampIfThere } from '../mirror/look.ts';
import { waitsForHand } from '../plan/sync.ts';
import { type Mirror, servedMirrors } from '../store/mirrors.ts';
import { findRepositoryById } from '../store/repositories.ts';
import { levelOf } from './failing.ts';
import type { Finding } from './finding.ts';

/** How one mirror stands. */
export type MirrorSeen = {
  /** The repository's name. */
  repository: string;
  mirror: Pick<Mirror, 'name' | 'url' | 'error' | 'errorKind' | 'failingSince' | 'triedAt' | 'verifyError'>;
  /** Since when the repository differs from what was mirrored, at least; null when it doesn't. Milliseconds since 1970. */
  differsSince: number | null;
};

/** How all stand, in numbers. */
export type MirrorsSummary = { mirrors: number; current: number; failing: number };

/** The timer comes every five minutes, and a first push may take long. Milliseconds. */
const untried = 3 * 3_600_000;
/** How many are named. */
const named = 5;

/** What the management database and the files' times say: nobody is asked. */
export function mirrorsSeen({ store, paths }: Pick<Forge, 'store' | 'paths'>): MirrorSeen[] {
  return servedMirrors(store).flatMap((mirror) => {
    const row = findRepositoryById(store, mirror.repository);
    if (!row) return [];
    const file = join(paths.data, row.file);
    const stamp = stampIfThere(file);
    const differs = stamp !== undefined && stamp !== mirror.stamp;
    const since = differs ? Math.max(changedAt(file), mirror.triedAt ?? mirror.createdAt) : null;
    return [{ repository: row.name, mirror, differsSince: since }];
  });
}

const changedAt = (file: string): number =>
  Math.max(...[file, `${file}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));

export const summaryOfMirrors = (seen: readonly MirrorSeen[]): MirrorsSummary => ({
  mirrors: seen.length,
  current: seen.filter(({ mirror, differsSince }) => mirror.error === null && differsSince === null).length,
  failing: seen.filter(({ mirror }) => mirror.error !== null).length,
});

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
      ? `It is not tried again by itself. Mend it there, or fossilrepo mirror configure ${repository} ${first.mirror.name}; then fossilrepo sync ${repository}`
      : `It is tried again by itself; fossilrepo mirror show ${repository} ${first?.mirror.name ?? ''} says when. At once: fossilrepo sync ${repository}`,
  };
}

const untriedFinding = (late: readonly MirrorSeen[]): Finding => ({
  level: 'yellow',
  about: 'mirrors',
  what: `Nobody brings mirrors up to date: ${listed(late.map(({ repository, mirror }) => `${repository} to ${mirror.name}`))}`,
  next: 'Read why with: fossilrepo logs sync. By hand: fossilrepo sync',
});

const listed = (names: readonly string[]): string =>
  names.slice(0, named).join(', ') + (names.length > named ? ` and ${names.length - named} more` : '');

/** What stands before the path in an address. */
const hostOf = (url: string): string => /^(?:\w+:\/\/)?(?:[^@/]*@)?([^/:]*)/.exec(url)?.[1] ?? url;

import type { Forge } from '../forge.ts';
import { waitsForHand } from '../plan/sync.ts';
import { mirrorHost } from '../store/mirror-hosts.ts';
import { type MirrorPart, partsOf } from '../store/mirror-parts.ts';
import { servedMirrors } from '../store/mirrors.ts';
import { findRepositoryById } from '../store/repositories.ts';
import { levelOf } from './failing.ts';
import type { Finding } from './finding.ts';

/** What one mirror has besides code. */
export type PartsSeen = {
  /** The repository's name, and the mirror's. */
  repository: string;
  mirror: string;
  parts: Pick<MirrorPart, 'part' | 'error' | 'errorKind' | 'failingSince'>[];
  /** When its token ends. Milliseconds since 1970; null: never, or nobody knows. */
  expiresAt: number | null;
};

/** Who has to make another token gets so long. Milliseconds. */
const notice = 14 * 24 * 3_600_000;

/** What the management database says: nobody is asked. */
export const partsSeen = ({ store }: Pick<Forge, 'store'>): PartsSeen[] =>
  servedMirrors(store).flatMap((mirror) => {
    const row = findRepositoryById(store, mirror.repository);
    if (!row) return [];
    const parts = partsOf(store, mirror.id).filter(({ part }) => mirror[part]);
    const expiresAt = mirrorHost(store, mirror.id)?.expiresAt ?? null;
    return [{ repository: row.name, mirror: mirror.name, parts, expiresAt }];
  });

/** Tickets and wikis that could not be brought to a mirror (red after a day), and tokens that end within 14 days. */
export const partFindings = (seen: readonly PartsSeen[], now: number): Finding[] =>
  seen.flatMap((one) => [...one.parts.flatMap((part) => failing(one, part, now)), ...ending(one, now)]);

function failing(
  { repository, mirror }: PartsSeen,
  part: PartsSeen['parts'][number],
  now: number,
): Finding[] {
  if (part.error === null) return [];
  const byHand = waitsForHand(part);
  return [
    {
      level: levelOf(part, now),
      about: repository,
      what: `Not mirrored: the ${part.part} of ${repository} to ${mirror}: ${part.error}`,
      next: byHand
        ? `It is not tried again by itself. Mend it there, or fossilrepo mirror configure ${repository} ${mirror}; then fossilrepo sync ${repository}`
        : `It is tried again by itself. At once: fossilrepo sync ${repository}`,
    },
  ];
}

function ending({ repository, mirror, expiresAt }: PartsSeen, now: number): Finding[] {
  if (expiresAt === null || expiresAt - now > notice) return [];
  const date = new Date(expiresAt).toISOString().slice(0, 10);
  return [
    {
      level: 'yellow',
      about: repository,
      what:
        expiresAt <= now
          ? `The token of the mirror ${mirror} of ${repository} ended on ${date}.`
          : `The token of the mirror ${mirror} of ${repository} ends on ${date}.`,
      next: `Make another one there, and give it: fossilrepo mirror configure ${repository} ${mirror} --token-stdin`,
    },
  ];
}

import { waitsForHand } from '../plan/sync.ts';
import { untilThen } from '../system/instant.ts';
import { lastSuccess, levelOf } from './failing.ts';
import type { Finding } from './finding.ts';
import type { MirrorSeen } from './mirrors.ts';

/** What of a mirror is looked at here. */
export type PartsSeen = Pick<MirrorSeen, 'repository' | 'parts' | 'expiresAt'> & { mirror: { name: string } };

/** Who has to make another token gets so long. Milliseconds. */
const notice = 14 * 24 * 3_600_000;

/** Tickets and wikis that could not be brought to a mirror (red after a day), and tokens that end within 14 days. */
export const partFindings = (seen: readonly PartsSeen[], now: number): Finding[] =>
  seen.flatMap((one) => [...one.parts.flatMap((part) => failing(one, part, now)), ...ending(one, now)]);

function failing(
  { repository, mirror: { name } }: PartsSeen,
  part: PartsSeen['parts'][number],
  now: number,
): Finding[] {
  if (part.error === null) return [];
  const byHand = waitsForHand(part);
  return [
    {
      level: levelOf(part, now),
      about: repository,
      what: `Not mirrored: the ${part.part} of ${repository} to ${name}: ${part.error}`,
      next: byHand
        ? `${lastSuccess(part, now)}. It is not tried again by itself. Mend it there, or fossilrepo mirror configure ${repository} ${name}; then fossilrepo sync ${repository}`
        : `${lastSuccess(part, now)}; it is tried again ${untilThen(part.nextTryAt ?? now, now)}. At once: fossilrepo sync ${repository}`,
    },
  ];
}

function ending({ repository, mirror: { name }, expiresAt }: PartsSeen, now: number): Finding[] {
  if (expiresAt === null || expiresAt - now > notice) return [];
  const date = new Date(expiresAt).toISOString().slice(0, 10);
  return [
    {
      level: 'yellow',
      about: repository,
      what:
        expiresAt <= now
          ? `The token of the mirror ${name} of ${repository} ended on ${date}.`
          : `The token of the mirror ${name} of ${repository} ends on ${date}.`,
      next: `Make another one there, and give it: fossilrepo mirror configure ${repository} ${name} --token-stdin`,
    },
  ];
}

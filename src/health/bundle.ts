import ms from 'ms';
import type { Finding } from './finding.ts';

/** What the loop knows of the bundle. Instants in milliseconds. */
export type BundleSeen = {
  /** Whether there is a recovery key that was shown. */
  shown: boolean;
  /** When root last compared what is secret with what it sealed; undefined: never. */
  looked: number | undefined;
  /** When the newest sealed bundle was last seen in the replica; at first, when the loop started. */
  safe: number;
  /** Why it could not be brought there, if anything said so. */
  error: string | undefined;
  /** Paths of what is not in it because it is a link or no regular file. */
  left: readonly string[];
};

/** Root looks every minute, and a server may sleep. Milliseconds. */
const stale = 15 * 60_000;
/** How long a new bundle may take into the replica. Milliseconds. */
const late = 10 * 60_000;

/** Whether what is secret on this server could be brought back. @param since when the loop started, in milliseconds */
export function bundleFindings(seen: BundleSeen, since: number, now: number): Finding[] {
  const about = 'bundle';
  if (!seen.shown)
    return [
      {
        level: 'yellow',
        about,
        what: "This server's secrets can't be brought back from the replica: nobody was shown a recovery key.",
        next: 'Run fossilrepo backup recovery-key --rotate and keep the key off this machine.',
      },
    ];
  const unlooked = now - Math.max(seen.looked ?? 0, since);
  const unsafe = now - seen.safe;
  const red = { level: 'red', about } as const;
  return [
    ...(unlooked > stale
      ? [
          {
            ...red,
            what: `What is secret here has not been sealed for the replica for ${ms(unlooked, { long: true })}.`,
            next: 'If its timer does not run, fossilrepo apply starts it. Else read why with: systemctl status fossilrepo-bundle',
          },
        ]
      : []),
    ...(unsafe > late
      ? [
          {
            ...red,
            what: `The newest bundle of this server's secrets is not in the replica${seen.error === undefined ? '.' : `: ${seen.error}`}`,
            next: 'See whether the replica can be written to, and fossilrepo logs management.',
          },
        ]
      : []),
    ...(seen.left.length > 0
      ? [
          {
            level: 'yellow' as const,
            about,
            what: `Not in the bundle of this server's secrets, since it is no regular file: ${seen.left.slice(0, 5).join(', ')}`,
            next: 'Put the file itself there instead of a link.',
          },
        ]
      : []),
  ];
}

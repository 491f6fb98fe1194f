import { isFenced } from '../backup/fence.ts';
import type { Forge } from '../forge.ts';
import { syncRequestedAt } from '../mirror/request.ts';
import type { Finding } from './finding.ts';
import { partFindings } from './mirror-parts.ts';
import { mirrorFindings, type MirrorSeen, mirrorsSeen } from './mirrors.ts';
import { requestFindings } from './sync-request.ts';
import { overdueFindings, upstreamFindings, upstreamsSeen } from './upstreams.ts';

/** What is wrong with mirrors and upstreams. @param mirrors what was seen of them, if that was looked for already */
export const bridgeFindings = (
  forge: Pick<Forge, 'config' | 'store' | 'paths'>,
  now: number,
  mirrors: readonly MirrorSeen[] = mirrorsSeen(forge),
  upstreams = upstreamsSeen(forge),
): Finding[] => [
  ...mirrorFindings(mirrors, now),
  ...partFindings(mirrors, now),
  ...upstreamFindings(upstreams, now),
  // While the replica is another server's, nobody is to.
  ...(isFenced(forge)
    ? []
    : [...requestFindings(syncRequestedAt(forge.paths), now), ...overdueFindings(upstreams, now)]),
];

import type { Forge } from '../forge.ts';
import type { Finding } from './finding.ts';
import { partFindings, partsSeen } from './mirror-parts.ts';
import { mirrorFindings, type MirrorSeen, mirrorsSeen } from './mirrors.ts';
import { upstreamFindings, upstreamsSeen } from './upstreams.ts';

/** What is wrong with mirrors and upstreams. @param mirrors what was seen of them, if that was looked for already */
export const bridgeFindings = (
  forge: Pick<Forge, 'store' | 'paths'>,
  now: number,
  mirrors: readonly MirrorSeen[] = mirrorsSeen(forge),
): Finding[] => [
  ...mirrorFindings(mirrors, now),
  ...partFindings(partsSeen(forge), now),
  ...upstreamFindings(upstreamsSeen(forge), now),
];

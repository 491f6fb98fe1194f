import type { Forge } from '../forge.ts';
import type { Finding } from './finding.ts';
import { partFindings, partsSeen } from './mirror-parts.ts';
import { mirrorFindings, mirrorsSeen } from './mirrors.ts';
import { upstreamFindings, upstreamsSeen } from './upstreams.ts';

/** What is wrong with mirrors and upstreams. */
export const bridgeFindings = (forge: Pick<Forge, 'store' | 'paths'>, now: number): Finding[] => [
  ...mirrorFindings(mirrorsSeen(forge), now),
  ...partFindings(partsSeen(forge), now),
  ...upstreamFindings(upstreamsSeen(forge), now),
];

import { coverageNow } from '../backup/coverage-now.ts';
import type { Forge } from '../forge.ts';
import { bridgeFindings } from './bridge.ts';
import { assessHealth, type Health } from './health.ts';
import { readLoopState } from './loop-state.ts';
import type { MirrorSeen } from './mirrors.ts';
import { probeParts } from './parts.ts';
import { verifiedLately } from './verified.ts';

/** Looks at parts and replica now, and adds what the loop saw last. @param mirrors what was seen of them, if that was looked for already */
export async function healthNow(forge: Forge, mirrors?: readonly MirrorSeen[]): Promise<Health> {
  const [parts, covered] = await Promise.all([probeParts(forge), coverageNow(forge)]);
  const seen = readLoopState(forge.paths);
  const now = Date.now();
  const findings = [...parts, ...bridgeFindings(forge, now, mirrors)];
  return assessHealth(seen && { ...seen, covered }, findings, verifiedLately(forge.store), now);
}

import type { Covered } from '../backup/coverage.ts';
import type { Paths } from '../config/paths.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';
import type { CanaryRound } from './canary.ts';
import type { Finding } from './finding.ts';

/** What the loop saw at its last look. */
export type LoopState = {
  startedAt: string;
  at: string;
  findings: Finding[];
  covered: Covered[];
  /** Null until the first round. */
  canary: (CanaryRound & { ok: boolean; error: string | null }) | null;
};

export const writeLoopState = (paths: Pick<Paths, 'loop'>, state: LoopState) =>
  writeAtomic(paths.loop, JSON.stringify(state), 0o640);

/** Undefined when the loop has not looked since it started, or doesn't run. Written by ourselves and replaced whole. */
export function readLoopState(paths: Pick<Paths, 'loop'>): LoopState | undefined {
  const text = readIfThere(paths.loop);
  return text === undefined ? undefined : (JSON.parse(text) as LoopState);
}

import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';

/** One thing that goes wrong. To add one, add an entry to a list in a `*.test.ts` of this folder. */
export type Fault = {
  /** As the table has it. */
  name: string;
  /**
   * Does it once while pushes go on, asserts what belongs to this fault alone, and takes away its cause. What has to be true after every
   * fault is looked at by `verdict.ts`.
   * @returns what happened, in a few words: the table counts equal ones
   */
  once: (stage: Stage, luck: Luck) => Promise<string>;
  /** How long all may take to be green again once the cause is gone. Milliseconds; two minutes when left out: the machine may
   * be busy with others. */
  within?: number;
  /** Takes away what had been in the replica: what `backup status` says meanwhile can't be held against it. */
  tampers?: boolean;
  /** The most tries; for what takes minutes or costs a lot. */
  atMost?: number;
  /** Left out when nothing is written down. */
  long?: boolean;
};

/** A line of the table. */
export type Row = {
  fault: string;
  tries: number;
  /** What happened, with how often each. */
  happened: Record<string, number>;
  /** From when the cause was gone until all was green, the fastest and the slowest. Milliseconds. */
  green: [number, number] | null;
  /** Check-ins that were acknowledged in all tries together. */
  acknowledged: number;
  /** Those of them that were missing afterwards, here or in a restore. */
  lost: number;
  /** States that were restored and read to the end. */
  restored: number;
  /** What `backup status` said meanwhile and was held against the replica. */
  claims: number;
  /** The first assertion that did not hold, when one did not. */
  failed: string | null;
};

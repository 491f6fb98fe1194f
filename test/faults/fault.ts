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

/** How what happened begins when a command was to be killed and was too fast for that. */
export const endedFirst = 'ended before it could be killed';

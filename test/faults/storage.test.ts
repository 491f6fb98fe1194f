import { expect } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import { meetLimits } from './limits.ts';
import { keysFile, type Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';
import { latency, type Mood } from './unruly.ts';

/** The storage behaves badly for some seconds. A commit is called unsafe after 5 s, so some tries reach no limit, and nobody says so. */
const behaves = (name: string, mood: Mood, longest: number): Fault => ({
  name,
  once: async (stage, luck) => {
    const lasted = luck.between(1_000, longest);
    await stage.s3().become(mood);
    await sleep(lasted);
    const red = (await saysRed(stage)) ? 'it was said' : 'it never reached a limit';
    await stage.s3().become('well');
    return red;
  },
});

const saysRed = async (stage: Stage): Promise<boolean> =>
  (await stage.forge.cli('backup', 'status')).code === 4;

tryFaults('s3', [
  behaves('S3 refuses connections', 'away', 10_000),
  behaves('S3 answers 500', 'broken', 10_000),
  behaves('S3 is full (507)', 'full', 10_000),
  {
    name: `S3 takes ${latency / 1000} s for each answer`,
    once: async (stage, luck) => {
      await stage.s3().become('slow');
      await meetLimits(stage.forge, luck.pick(stage.pushers).name);
      await stage.s3().become('well');
      return 'red, the age above 10 s; the storage was called silent; `backup now` gave up';
    },
  },
  {
    name: "the storage's keys are replaced there, then here",
    once: async (stage, luck) => {
      const keys = await stage.s3().rotate();
      await sleep(luck.between(0, 8_000));
      const now = await stage.forge.cli('backup', 'now');
      expect(now.code, 'with keys that were revoked').not.toBe(0);
      await succeed(stage, 'install', '--yes', '--storage-keys', keysFile(stage.forge.root, keys));
      return '`backup now` failed until `install --storage-keys`';
    },
  },
]);

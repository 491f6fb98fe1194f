import { once } from 'node:events';
import { type PartName, partNames } from '../../src/stack/parts.ts';
import { eventually } from '../real/forge.ts';
import type { Fault } from './fault.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

/** Ends a part; one that is down just now as soon as it is up again. */
const kill = ({ forge }: Stage, part: PartName) =>
  eventually(
    () => {
      try {
        return process.kill(forge.pidOf(part), 'SIGKILL');
      } catch {
        return false;
      }
    },
    10_000,
    `${part} can be killed`,
  );

const titles: Record<PartName, string> = {
  repositories: 'Fossil',
  replication: 'Litestream',
  management: '`serve`',
  edge: 'Caddy',
};

const killed = (part: PartName): Fault => ({
  name: `${titles[part]} killed`,
  once: async (stage) => {
    await kill(stage, part);
    return 'started again by itself';
  },
});

tryFaults('directory', [
  ...partNames.map(killed),
  {
    name: 'two of these killed at once',
    once: async (stage, luck) => {
      const first = luck.pick(partNames);
      const second = luck.pick(partNames.filter((part) => part !== first));
      await Promise.all([kill(stage, first), kill(stage, second)]);
      return 'started again by themselves';
    },
  },
  {
    name: 'all killed at once, with what keeps them running',
    once: async ({ forge }) => {
      const up = forge.process();
      if (up === undefined) throw new Error('nothing runs');
      const ended = once(up, 'exit');
      up.kill('SIGKILL');
      await ended;
      await forge.start();
      return 'started again by hand';
    },
  },
]);

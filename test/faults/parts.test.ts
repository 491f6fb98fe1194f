import { once } from 'node:events';
import { type PartName, partNames } from '../../src/stack/parts.ts';
import { eventually } from '../real/forge.ts';
import type { Fault } from './fault.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

/** Ends a part, one that is down just now as soon as it is up again, and waits for the next one: until then all may still look green. */
async function kill({ forge }: Stage, part: PartName): Promise<void> {
  const pid = () => {
    try {
      return forge.pidOf(part);
    } catch {
      return undefined;
    }
  };
  let ended: number | undefined;
  const end = () => {
    ended = pid();
    try {
      return ended !== undefined && process.kill(ended, 'SIGKILL');
    } catch {
      return false;
    }
  };
  await eventually(end, 10_000, `${part} can be killed`);
  await eventually(() => ![undefined, ended].includes(pid()), 30_000, `${part} is started again`);
}

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

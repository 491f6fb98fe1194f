import { fillUpTo } from '../bench/many.ts';
import { eventually } from '../real/forge.ts';
import { startPusher } from '../real/pusher.ts';
import type { Fault } from './fault.ts';
import { tryFaults } from './try-faults.ts';

const repositories = 1_000;
const busy = 100;
/** So many people are at work at a time. */
const atOnce = 10;

const burst: Fault = {
  name: '1,000 repositories, and a burst of pushes to 100 of them, ten at a time',
  long: true,
  atMost: 1,
  within: 180_000,
  once: async ({ forge }) => {
    await fillUpTo(forge, repositories - busy);
    const lost: string[] = [];
    let pushed = 0;
    for (let first = 0; first < busy; first += atOnce) {
      const people = await Promise.all(
        Array.from({ length: atOnce }, (_none, index) =>
          startPusher(forge, `burst-${first + index}`, { every: 0 }),
        ),
      );
      await eventually(
        () => people.every(({ acknowledged }) => acknowledged.length >= 3),
        120_000,
        'pushes to each',
      );
      await Promise.all(people.map((person) => person.stop()));
      for (const person of people) {
        pushed += person.acknowledged.length;
        if ((await forge.cli('backup', 'now', person.name)).code !== 0)
          lost.push(`${person.name}: not in the replica`);
        lost.push(...person.lostLive(), ...(await person.lostInReplica()));
        await person[Symbol.asyncDispose]();
      }
    }
    if (lost.length > 0) throw new Error(`lost: ${lost.join(', ')}`);
    return `${pushed} pushes, all of them in a restore of each of the ${busy}`;
  },
};

tryFaults('directory', [burst]);

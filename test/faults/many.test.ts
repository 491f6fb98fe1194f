import pMap from 'p-map';
import { fillUpTo } from '../bench/many.ts';
import { type Pusher, startPusher } from '../real/pusher.ts';
import type { Fault } from './fault.ts';
import { tryFaults } from './try-faults.ts';
import { judge } from './verdict.ts';

const repositories = 1_000;
const busy = 100;
const rounds = 3;

const burst: Fault = {
  name: '1,000 repositories, and pushes to 100 of them at one moment',
  long: true,
  atMost: 1,
  within: 180_000,
  once: async ({ forge }) => {
    await fillUpTo(forge, repositories - busy);
    await using made = new AsyncDisposableStack();
    const people = await pMap(
      Array.from({ length: busy }, (_none, index) => `burst-${index}`),
      async (name) => made.use(await startPusher(forge, name, { pushing: false })),
      { concurrency: 4 },
    );
    const refused: string[] = [];
    let slowest = 0;
    for (let round = 0; round < rounds; round++) {
      const { refusals, took } = await pushAtOnce(people);
      refused.push(...refusals);
      slowest = Math.max(slowest, took);
    }
    const count = people.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    const { lost, restored } = await judge({ forge, pushers: people }, []);
    if (lost.length > 0) throw new Error(`lost: ${lost.join(', ')}`);
    if (refused.length > 0)
      throw new Error(
        `${refused.length} of ${rounds * busy} pushes refused, the others kept: ${refused.join(' | ')}`,
      );
    const seconds = Math.ceil(slowest / 1000);
    return `${count} pushes in ${rounds} rounds, a round taken within ${seconds} s; none refused, all in ${restored} restored states`;
  },
};

/** Everybody commits, and when the last one has, all push. @returns what was refused, and how long the last one's took in milliseconds */
async function pushAtOnce(people: readonly Pusher[]): Promise<{ refusals: string[]; took: number }> {
  const ready = await pMap(people, async (person) => ({ person, hash: await person.commit() }), {
    concurrency: 4,
  });
  const began = performance.now();
  const said = await Promise.all(
    ready.map(async ({ person, hash }) => ({ name: person.name, refusal: await person.deliver(hash) })),
  );
  const refusals = said.flatMap(({ name, refusal }) =>
    refusal === undefined ? [] : [`${name}: ${refusal}`],
  );
  return { refusals, took: performance.now() - began };
}

tryFaults('directory', [burst]);

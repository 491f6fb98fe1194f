import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { levels } from '../../src/backup/location.ts';
import { eventually } from '../real/forge.ts';
import { type Attempt, attempt } from './attempt.ts';
import { succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import { historyIn, neededOf, pathOf, remember, type Victim } from './history-of.ts';
import type { Luck } from './luck.ts';
import { tryFaults } from './try-faults.ts';

/**
 * Damages an object that an instant needs, of one level, while people push. The instant is refused by the object's name until it is mended;
 * or, when Litestream has merged the same into another object in this second, its state is exactly what it was before.
 */
const damaged = (name: string, level: number, damage: (victim: Victim, luck: Luck) => void): Fault => ({
  name,
  // Objects of the higher levels have to come first.
  long: level > 0,
  once: async (stage, luck) => {
    const pusher = luck.pick(stage.pushers);
    let victim: Victim | undefined;
    await eventually(
      async () => {
        victim = await neededOf(stage, pusher, level, luck);
        return victim !== undefined;
      },
      90_000,
      `something of level ${level} is needed`,
    );
    if (victim === undefined) throw new Error('nothing to damage');
    const { object, path, at } = victim;
    const whole = await attempt(stage, pusher, at);
    expect(whole.code, whole.stderr).toBe(0);
    const mend = remember(path);
    const pushed = pusher.acknowledged.length;
    let said: Attempt;
    try {
      damage(victim, luck);
      said = await attempt(stage, pusher, at);
      await eventually(() => pusher.acknowledged.length > pushed, 15_000, 'pushes go on meanwhile');
    } finally {
      mend();
    }
    expect((await attempt(stage, pusher, at)).artifacts).toEqual(whole.artifacts);
    return outcome(said, whole, object.key);
  },
});

/** A state that has lost an object is refused by its name, or is exactly what it was before. */
function outcome(said: Attempt, whole: Attempt, key: string): string {
  if (said.code === 0) {
    expect(said.artifacts, 'another state was taken without a word').toEqual(whole.artifacts);
    return 'not needed: the same was in another object';
  }
  expect(said.code, said.stdout + said.stderr).toBe(4);
  expect(said.stdout + said.stderr).toContain(key);
  return 'refused with its name, exit code 4';
}

const flip = ({ path }: Victim, luck: Luck): void => {
  const bytes = readFileSync(path);
  const at = luck.between(0, bytes.length - 1);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << luck.between(0, 7));
  writeFileSync(path, bytes);
};
const cutOff = ({ path, object }: Victim, luck: Luck): void =>
  truncateSync(path, luck.between(0, object.bytes - 1));

const lastMissing: Fault = {
  name: 'the last object missing',
  tampers: true,
  once: async (stage, luck) => {
    const pusher = luck.pick(stage.pushers);
    await pusher.pause();
    // The mark beside the replica is written every ten seconds.
    await succeed(stage, 'backup', 'now', pusher.name);
    const last = (await historyIn(stage, pusher)).filter(({ level }) => level === 0).at(-1);
    if (last === undefined) throw new Error('nothing is there');
    const whole = await attempt(stage, pusher, 'now');
    // As when it was lost before it was merged.
    const objects = (await historyIn(stage, pusher)).filter(({ max }) => max >= last.max);
    const mend = objects.map((object) => remember(pathOf(stage, object)));
    try {
      for (const object of objects) rmSync(pathOf(stage, object));
      await sleep(luck.between(0, 2_000));
      return outcome(await attempt(stage, pusher, 'now'), whole, last.key);
    } finally {
      for (const one of mend) one();
      pusher.go();
    }
  },
};

tryFaults('all levels', [
  // What was merged into a snapshot is needed only for instants before it.
  ...levels.map((level) => damaged(`one bit flipped in an object of level ${level}`, level, flip)),
  damaged('an object missing', 0, ({ path }) => rmSync(path)),
  damaged('an object cut off', 0, cutOff),
  lastMissing,
]);

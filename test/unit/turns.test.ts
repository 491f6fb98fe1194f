import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Due, type Place, type Saying, takeTurns } from '../../src/mirror/turns.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const due = (id: string, place: Place = 'push', changes: Partial<Due> = {}): Due => ({
  ...{ id, repository: id, place, triedAt: 0 },
  ...changes,
});
const many = (count: number, place: Place, name = place): Due[] =>
  Array.from({ length: count }, (_, n) => due(`${name} ${n}`, place));

type Run = {
  begun: { id: string; at: number }[];
  ended: Set<string>;
  of: (id: string) => { at: number }[];
  over: boolean;
};

/** Runs with work that takes its time. @param takes milliseconds, by id; 0 unless it is named @param busy what others are at work on */
function start(
  look: (run: Run) => Due[],
  {
    takes = {},
    busy = [],
    again = true,
  }: { takes?: Record<string, number>; busy?: string[]; again?: boolean } = {},
) {
  const began = performance.now();
  const run: Run = {
    begun: [],
    ended: new Set(),
    of: (id) => run.begun.filter((one) => one.id === id),
    over: false,
  };
  const work = async (group: readonly Due[], saying: Saying) => {
    for (const { id } of group) run.begun.push({ id, at: performance.now() - began });
    await Promise.all(
      group.map(async ({ id }) => {
        if (busy.includes(id)) saying.busy(id);
        else await new Promise((resolve) => setTimeout(resolve, takes[id] ?? 0));
        run.ended.add(id);
        saying.ended(id);
      }),
    );
  };
  const done = takeTurns({ again }, () => look(run), work).finally(() => (run.over = true));
  return { run, done };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const hour = 3_600_000;
const forAnHour = (all: readonly Due[]) => Object.fromEntries(all.map(({ id }) => [id, hour]));

test('nine that failed and say nothing hold up none that is well, and neither do upstreams', async () => {
  const silent = [...many(9, 'push again'), ...many(9, 'pull again'), ...many(9, 'pull')];
  let pushed: Due[] = [];
  const { run, done } = start((run) => [...silent, ...pushed].filter(({ id }) => !run.ended.has(id)), {
    takes: forAnHour(silent),
  });
  await pass(10_000);
  expect(run.begun).toHaveLength(2 + 2 + 4);
  // It comes when they are at work, and is found all the same.
  pushed = [due('well')];
  await pass(3_000);
  expect(run.ended).toContain('well');
  await pass(6 * hour);
  expect(run.over).toBe(true);
  expect(run.ended.size).toBe(silent.length + 1);
  await done;
});

test('one that fails often is not tried again before all others were', async () => {
  const all = new Map(many(6, 'push again').map((one) => [one.id, one]));
  const { run, done } = start(
    (run) =>
      (run.begun.length < 12 ? [...all.values()] : []).map((one) => ({
        ...one,
        triedAt: run.of(one.id).at(-1)?.at ?? -1,
      })),
    { takes: Object.fromEntries([...all.keys()].map((id) => [id, 60_000])) },
  );
  await pass(hour);
  await done;
  expect([...all.keys()].map((id) => run.of(id).length)).toEqual([2, 2, 2, 2, 2, 2]);
});

test('however often one is pushed to while another takes an hour, it follows, with a pause', async () => {
  let pushes = 0;
  const { run, done } = start(
    (now) => [
      ...(now.ended.has('long') ? [] : [due('long')]),
      ...(now.of('short').length < pushes ? [due('short')] : []),
    ],
    { takes: { long: hour } },
  );
  while (pushes < 40) {
    pushes++;
    await pass(13_000);
    expect(run.of('short')).toHaveLength(pushes);
  }
  // Without a pause of somebody who pushes.
  pushes += 40;
  await pass(60_000);
  expect(run.of('short').length).toBeGreaterThan(40 + 3);
  expect(run.of('short').length).toBeLessThanOrEqual(40 + 6);
  await pass(hour);
  await done;
});

test('what is due again right after its try is waited for', async () => {
  const { run, done } = start((run) => (run.begun.length < 2 ? [due('one')] : []));
  await pass(9_000);
  expect([run.begun.length, run.over]).toEqual([1, false]);
  await pass(3_000);
  expect([run.begun.length, run.over]).toEqual([2, true]);
  await done;
});

test('what others are at work on is tried again after half a minute, and not waited for', async () => {
  const alone = start(() => [due('one')], { busy: ['one'] });
  await pass(2_000);
  expect([alone.run.begun.length, alone.run.over]).toEqual([1, true]);
  const long = start((run) => [due('one'), ...(run.ended.has('long') ? [] : [due('long')])], {
    ...{ busy: ['one'], takes: { long: 100_000 } },
  });
  await pass(200_000);
  expect(long.run.of('one')).toHaveLength(4);
  expect(long.run.over).toBe(true);
  await Promise.all([alone.done, long.done]);
});

test('who asks gets each once, in several places at a time; what is due of a repository is begun together', async () => {
  const all = [...many(20, 'push'), due('sister', 'push', { repository: 'push 0' })];
  const { run, done } = start(() => all, {
    again: false,
    takes: Object.fromEntries(all.map(({ id }) => [id, 1_000])),
  });
  await pass(500);
  expect(run.begun.map(({ id }) => id)).toEqual([
    'push 0',
    'sister',
    ...many(6, 'push')
      .slice(1)
      .map(({ id }) => id),
  ]);
  await pass(60_000);
  await done;
  expect(run.begun.map(({ id }) => id).toSorted()).toEqual(all.map(({ id }) => id).toSorted());
});

test('one that has ended is at work in its next group, whatever becomes of its former one', async () => {
  const [slow, quick] = [due('slow'), due('quick', 'push', { repository: 'slow' })];
  // The one is done again while the other, which was begun with it, goes on and ends.
  const { run } = start(
    (now) => (now.of('quick').length < 2 || now.begun.length < 3 ? [slow, quick] : [quick]),
    {
      takes: { slow: 20_000 },
    },
  );
  await pass(15_000);
  expect(run.of('quick')).toHaveLength(2);
  expect(run.of('slow')).toHaveLength(1);
});

test('a fault of one keeps nobody from being begun', async () => {
  let looked = 0;
  const begun: string[] = [];
  const done = takeTurns(
    { again: true },
    () =>
      looked++ < 2
        ? [due('bad'), due('slow')]
        : [due('bad'), ...(begun.includes('late') ? [] : [due('late')])],
    async ([one]) => {
      begun.push(one?.id ?? '');
      if (one?.id === 'bad') throw new Error('a fault');
      await new Promise((resolve) => setTimeout(resolve, one?.id === 'slow' ? 60_000 : 0));
    },
  );
  const said = expect(done).rejects.toThrow('a fault');
  await pass(30_000);
  expect(begun).toEqual(['bad', 'slow', 'late']);
  await pass(60_000);
  await said;
});

test('a fault of one ends the run when the others have ended', async () => {
  const ended: string[] = [];
  const done = takeTurns(
    { again: true },
    () => [due('bad'), due('good')],
    async ([one]) => {
      if (one?.id === 'bad') throw new Error('a fault');
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      ended.push(one?.id ?? '');
    },
  );
  const said = expect(done).rejects.toThrow('a fault');
  await pass(10_000);
  await said;
  expect(ended).toEqual(['good']);
});

import pMap from 'p-map';
import { exitCodes, messageOf } from '../errors.ts';

/** What became of the same work on several things: one that fails doesn't keep the others from being done. */
export type Attempts<Item, Value> = {
  done: { item: Item; value: Value }[];
  failed: { item: Item; error: unknown }[];
};

/** One that ended. */
export type Attempt<Item, Value> = { item: Item; value: Value } | { item: Item; error: unknown };

/**
 * Does work on each thing, some at once. What fails is in the answer; with only one thing it is thrown, with its own exit code.
 * @param told called for each as it ends, with what to put behind it: of several, which one it is, ` (3 of 50)`
 */
export async function attemptAll<Item, Value>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Value>,
  told: (ended: Attempt<Item, Value>, count: string) => void = () => undefined,
): Promise<Attempts<Item, Value>> {
  const attempts: Attempts<Item, Value> = { done: [], failed: [] };
  const { done, failed } = attempts;
  const one = async (item: Item): Promise<Attempt<Item, Value>> => {
    try {
      const ended = { item, value: await work(item) };
      done.push(ended);
      return ended;
    } catch (error) {
      if (items.length === 1) throw error;
      const ended = { item, error };
      failed.push(ended);
      return ended;
    }
  };
  let ended = 0;
  const counted = () => (items.length === 1 ? '' : ` (${++ended} of ${items.length})`);
  await pMap(items, async (item) => told(await one(item), counted()), { concurrency });
  return attempts;
}

/** What failed of things that have a name, for a result. */
export const failures = ({
  failed,
}: Attempts<{ name: string }, unknown>): { name: string; error: string }[] =>
  failed.map(({ item, error }) => ({ name: item.name, error: messageOf(error) }));

/** Has the process answer 6 when some failed, 1 when all did. */
export function answerFor(total: number, failed: number): void {
  if (failed > 0) process.exitCode = failed === total ? exitCodes.failed : exitCodes.partly;
}

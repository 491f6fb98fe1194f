import pMap from 'p-map';
import { exitCodes } from '../errors.ts';

/** What became of the same work on several things: one that fails doesn't keep the others from being done. */
export type Attempts<Item, Value> = {
  done: { item: Item; value: Value }[];
  failed: { item: Item; error: unknown }[];
};

/** Does work on each thing, some at once. What fails is in the answer; with only one thing it is thrown, with its own exit code. */
export async function attemptAll<Item, Value>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Value>,
): Promise<Attempts<Item, Value>> {
  const attempts: Attempts<Item, Value> = { done: [], failed: [] };
  const one = async (item: Item): Promise<void> => {
    try {
      attempts.done.push({ item, value: await work(item) });
    } catch (error) {
      if (items.length === 1) throw error;
      attempts.failed.push({ item, error });
    }
  };
  await pMap(items, one, { concurrency });
  return attempts;
}

/** Has the process answer 6 when some failed, 1 when all did. */
export function answerFor(total: number, failed: number): void {
  if (failed > 0) process.exitCode = failed === total ? exitCodes.failed : exitCodes.partly;
}

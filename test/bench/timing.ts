import { performance } from 'node:perf_hooks';

/** How long it takes. Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Does each in turn, round by round, so that whatever else the machine does hits all alike. @returns milliseconds, one list each */
export async function interleaved<T extends string>(
  rounds: number,
  works: Record<T, () => Promise<unknown>>,
): Promise<Record<T, number[]>> {
  const names = Object.keys(works) as T[];
  const found = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<T, number[]>;
  for (let round = 0; round < rounds; round++)
    for (const name of names) found[name].push(await timed(works[name]));
  return found;
}

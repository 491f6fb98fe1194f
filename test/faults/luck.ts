/** Random choices that can be made again: the same seed gives the same ones, in the same order. */
export type Luck = {
  /** A whole number from `low` to `high`, both included. */
  between: (low: number, high: number) => number;
  /** One of some, at least one of which there has to be. */
  pick: <T>(some: readonly T[]) => T;
};

/** @param seed any text: the run's number, the fault's name and the try's number, so that one try can be repeated alone */
export function luckOf(seed: string): Luck {
  let state = 0x811c9dc5;
  // FNV-1a spreads the text over the 32 bits that the generator (mulberry32) begins with.
  for (const letter of seed) state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    between,
    pick: (some) => {
      const found = some[between(0, some.length - 1)];
      if (found === undefined) throw new Error('nothing to choose from');
      return found;
    },
  };
}

/** When a repair may be tried again. */
export type Backoff = {
  /** Whether it is time to try to mend this cause; counts the try. */
  due: (cause: string) => boolean;
  /** The cause is gone: the next time it is tried at once. */
  clear: (cause: string) => void;
};

const first = 2_000;
const longest = 600_000;

/** Tries at once, then after 2, 4, 8 s … 10 min. */
export function backoff(now: () => number): Backoff {
  const causes = new Map<string, { tries: number; next: number }>();
  return {
    due: (cause) => {
      const { tries, next } = causes.get(cause) ?? { tries: 0, next: 0 };
      if (now() < next) return false;
      causes.set(cause, { tries: tries + 1, next: now() + Math.min(longest, first * 2 ** tries) });
      return true;
    },
    clear: (cause) => causes.delete(cause),
  };
}

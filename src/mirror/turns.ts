/**
 * How many groups may be at work at once. A remote that says nothing keeps its place for minutes, so what failed before has places of its own:
 * a host that is down holds up none that is well. A first push may take hours, and has its own for the same reason.
 */
const places = { push: 6, 'first push': 3, 'push again': 2, pull: 4, 'pull again': 2 } as const;
export type Place = keyof typeof places;

/** Something that it is time for. */
export type Due = {
  /** The mirror's id, or the upstream's. */
  id: string;
  /** The repository's id; what is due of one for the same places is begun together. */
  repository: string;
  place: Place;
  /** Who waits longest comes first. Milliseconds since 1970. */
  triedAt: number;
};

export type Turns = {
  /** Looks anew all the time until nothing is at work and nothing due; else each is taken once. */
  again: boolean;
  signal?: AbortSignal | undefined;
};

/** What those who work on a group say. */
export type Saying = {
  /** Nothing is at work on it any more, while others of its group may still be. */
  ended: (id: string) => void;
  /** Another fossilrepo is at work on it. */
  busy: (id: string) => void;
};

/** How often it is looked again while something is at work. Milliseconds. */
const lookAgain = 2_000;
/** After a try, and when another fossilrepo is at work on it, a mirror is left alone for so long. Milliseconds. */
const rests = { tried: 10_000, busy: 30_000 } as const;

/**
 * Lets everything that is due have its turn, however long others take.
 * @param look what is due, whether it is at work or not
 * @param work on one group @throws what it throws, when all others have ended
 */
export async function takeTurns<D extends Due>(
  { again, signal }: Turns,
  look: () => readonly D[],
  work: (group: readonly D[], saying: Saying) => Promise<void>,
): Promise<void> {
  const atWork = new Set<string>();
  const running = new Map<Promise<void>, Place>();
  const resting = new Map<string, { until: number; waitedFor: boolean }>();
  const failures: unknown[] = [];
  let wake = (): void => undefined;

  const begin = (group: readonly D[], place: Place): void => {
    // One that has ended may be at work in another group by now.
    const mine = new Set(group.map(({ id }) => id));
    const ended = (id: string): void => {
      if (!mine.delete(id)) return;
      atWork.delete(id);
      if (!resting.has(id)) rest(id, again ? rests.tried : Infinity, again);
      wake();
    };
    const busy = (id: string): void => {
      if (!atWork.has(id) || mine.has(id)) rest(id, again ? rests.busy : Infinity, false);
    };
    for (const { id } of group) {
      atWork.add(id);
      resting.delete(id);
    }
    const piece = work(group, { ended, busy })
      .catch((error: unknown) => {
        failures.push(error);
        for (const id of mine) rest(id, Infinity, false);
      })
      .finally(() => {
        for (const { id } of group) ended(id);
        running.delete(piece);
        wake();
      });
    running.set(piece, place);
  };
  /** @param waitedFor whether it is worth being waited for when nothing else is to be done */
  const rest = (id: string, pause: number, waitedFor: boolean) =>
    resting.set(id, { until: performance.now() + pause, waitedFor });
  const isFree = (place: Place): boolean =>
    [...running.values()].filter((one) => one === place).length < places[place];

  // Who asked for each is told of each, also of those that were not begun any more.
  while (!(again && signal?.aborted)) {
    const due = look().filter(({ id }) => !atWork.has(id));
    const rested = due.filter(({ id }) => (resting.get(id)?.until ?? 0) <= performance.now());
    const groups = Map.groupBy(
      rested.toSorted((a, b) => a.triedAt - b.triedAt),
      ({ place, repository }) => `${place} ${repository}`,
    );
    for (const group of groups.values()) {
      const [first] = group;
      if (first && isFree(first.place)) begin(group, first.place);
    }
    const worthIt = failures.length === 0 && due.some(({ id }) => resting.get(id)?.waitedFor);
    if (running.size === 0 && !worthIt) break;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lookAgain);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  await Promise.all(running.keys());
  if (failures.length > 0) throw failures[0];
}

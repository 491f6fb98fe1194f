import { messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { nextTry, waitingPause, type Why } from '../plan/sync.ts';
import { addEvent } from '../store/events.ts';
import { findMirrorById, type Mirror, updateMirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { transaction } from '../store/store.ts';
import { addSyncRun, type IssueCounts, type SyncRun } from '../store/sync-runs.ts';
import { wentWell, wentWrong } from '../store/tries.ts';
import type { Brought } from './bring.ts';
import { isAboutRefs } from './difference.ts';
import { RemoteError } from './remote/error.ts';

/** One try to bring one mirror up to date. */
export type Try = {
  row: Pick<Repository, 'id' | 'name'>;
  mirror: Pick<Mirror, 'id' | 'name'>;
  why: Why;
  /** Milliseconds since 1970. */
  begunAt: number;
  tookMs: number;
};

type Kept = Pick<Forge, 'store'>;

/** Remembers that a mirror is what its repository was. @param was the repository before it was read: its file's stamp, its check-ins, and how many could not be exported yet */
export function noteSuccess(
  { store }: Kept,
  one: Try,
  was: { stamp: string; checkins: number; waiting: number },
  brought: Brought,
): void {
  const { row, mirror, begunAt } = one;
  transaction(store, () => {
    const before = findMirrorById(store, mirror.id);
    if (!before) return;
    updateMirror(store, mirror.id, {
      stamp: was.stamp,
      checkins: was.checkins,
      ...(brought.compared && { comparedAt: begunAt }),
      // Every ref is there as it is wanted. What differs in the contents only a verification finds, and finds healed.
      ...(brought.compared && isAboutRefs(before.verifyError ?? '') && { verifyError: null }),
      ...rewoundIn(brought),
      ...wentWell(begunAt, was.waiting > 0 ? begunAt + waitingPause : null),
    });
    if (brought.refs.length > 0 || before.error !== null) noteRun(store, one, 'code', brought, null);
    tellOverwritten({ store }, one, brought);
    tellLost({ store }, one, brought);
    if (before.error === null) return;
    tell({ store }, row.id, `${row.name} is mirrored to ${mirror.name} again`);
  });
}

/** Remembers why a mirror could not be brought up to date, and when it is tried again. @returns the reason in plain words */
export function noteFailure({ store }: Kept, one: Try, error: unknown, brought?: Brought): string {
  const { row, mirror, begunAt } = one;
  const what = messageOf(error);
  const kind = error instanceof RemoteError ? error.kind : 'export';
  transaction(store, () => {
    const before = findMirrorById(store, mirror.id);
    if (!before) return;
    const next = (errorKind: string, failures: number) => nextTry(errorKind, failures, begunAt + one.tookMs);
    updateMirror(store, mirror.id, {
      ...rewoundIn(brought),
      ...wentWrong(before, begunAt, { error: what, errorKind: kind }, next),
    });
    noteRun(store, one, 'code', brought, what);
    if (brought) tellOverwritten({ store }, one, brought);
    if (brought) tellLost({ store }, one, brought);
    if (before.errorKind === kind) return;
    tell({ store }, row.id, `${row.name} is not mirrored to ${mirror.name}: ${what}`);
  });
  return what;
}

/** Remembers what a run that somebody stopped had done to the mirror by then. */
export function noteStopped({ store }: Kept, one: Try, brought: Brought): void {
  transaction(store, () => {
    const rewound = rewoundIn(brought);
    if (rewound) updateMirror(store, one.mirror.id, rewound);
    tellOverwritten({ store }, one, brought);
    tellLost({ store }, one, brought);
  });
}

/** A restore that took something from the mirror is told of, whatever became of its other refs: the next run can't see it any more. */
const rewoundIn = (brought: Brought | undefined) =>
  brought?.rewound && { rewoundAt: brought.rewound.at, rewoundTo: brought.rewound.to };

/** What a run did; what is left out it did not. */
export type RunWork = Partial<Pick<SyncRun, 'refs' | 'commits' | 'bytes'> & IssueCounts>;

/** Writes a run into the log. */
export function noteRun(
  store: Kept['store'],
  { mirror, why, begunAt, tookMs }: Pick<Try, 'mirror' | 'why' | 'begunAt' | 'tookMs'>,
  part: SyncRun['part'],
  { refs = [], commits = 0, bytes = null, issuesMade = 0, issuesChanged = 0, commentsMade = 0 }: RunWork = {},
  error: string | null = null,
): void {
  const done = { refs, pushed: refs.length, commits, bytes, issuesMade, issuesChanged, commentsMade };
  addSyncRun(store, {
    mirror: mirror.id,
    part,
    at: begunAt,
    why,
    error,
    ...done,
    tookMs: Math.round(tookMs),
  });
}

/** What others lost is told each time: afterwards it is nowhere but in their clones. */
export function tellOverwritten(
  kept: Kept,
  { row, mirror }: { row: Pick<Repository, 'id' | 'name'>; mirror: Pick<Mirror, 'name'> },
  { overwrote }: { overwrote: readonly string[] },
): void {
  for (const what of overwrote) tell(kept, row.id, `${row.name} overwrote at ${mirror.name}: ${what}`);
}

/** Fossil is the source of truth, so the mirror follows; but nobody asked for this. */
function tellLost(kept: Kept, { row, mirror }: Try, { lost }: Pick<Brought, 'lost'>): void {
  if (lost.length === 0) return;
  const what = `check-ins are gone from it without a restore: shunned, or in a file that is no longer there`;
  tell(kept, row.id, `${row.name} took back what ${mirror.name} had, since ${what}; ${lost.join('; ')}`);
}

/** Says something of a mirror in the events; the loop brings those to the log, each once (`jobs/tell-events.ts`). */
export const tell = ({ store }: Kept, repository: string, text: string): void =>
  addEvent(store, { kind: 'mirror', repository, text });

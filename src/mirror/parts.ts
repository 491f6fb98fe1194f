import { join } from 'node:path';
import { isBusy, messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { isTime, nextTry, sharesRefusal, waitsForHand, type Why } from '../plan/sync.ts';
import {
  mirrorPart,
  type MirrorPart,
  mirrorParts,
  type PartName,
  updateMirrorPart,
} from '../store/mirror-parts.ts';
import { findMirrorById, type Mirror, updateMirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { transaction } from '../store/store.ts';
import { wentWell, wentWrong } from '../store/tries.ts';
import { withLock } from '../system/locks.ts';
import { refuseAnother } from './another.ts';
import { causeOf, isStopped } from './deadline.ts';
import { describeIssues } from './describe-run.ts';
import { RateLimited } from './hosts/rate-limit.ts';
import { partsOf, timesOfPart } from './part-times.ts';
import { noteRun, type RunWork, tell, tellOverwritten } from './outcome.ts';
import { hostOf, noteExpiry } from './hosts/token.ts';
import { RemoteError } from './remote/error.ts';
import { syncTickets } from './tickets/sync.ts';
import { exportWiki } from './wiki/export.ts';
import { syncWiki } from './wiki/sync.ts';

/** What was done about what a mirror has besides code. */
export type PartResult = {
  part: PartName;
  /** Issues, or pages. */
  count: number;
  /** In plain words, as `3 issues made`; empty: nothing was to be done. */
  did: string;
  error: string | null;
};

/** Nothing more is begun after so long, so that what is pushed meanwhile is not kept waiting; it goes on soon. Milliseconds. */
const longest = 40_000;
const soon = 5_000;
/** What was stopped, or another fossilrepo is at, goes on after this. Milliseconds. */
const busyPause = 30_000;
/** How long another fossilrepo may be at work on the same wiki. Milliseconds. */
const patience = 60_000;

type Done = {
  count: number;
  did: string;
  more: boolean;
  error: OperatorError | undefined;
  work: RunWork;
};
type When = { stamp: string; why: Why; signal?: AbortSignal | undefined };

/**
 * Brings wiki and tickets to a mirror, where they are wanted and there is something to do: one that fails holds up no other, and is tried again
 * by itself. The caller holds the mirror's lock.
 * @param when.stamp what the repository's file looked like before anything was read
 */
export async function bringParts(
  forge: Forge,
  row: Repository,
  mirror: string,
  when: When,
): Promise<PartResult[]> {
  const results: PartResult[] = [];
  for (const part of mirrorParts) {
    const now = findMirrorById(forge.store, mirror);
    if (!now || !partsOf(forge, now).includes(part)) continue;
    if (isStopped(when.signal) || !isDue(forge, now, part, when)) continue;
    const result = await bringPart(forge, row, now, part, when);
    if (result) results.push(result);
  }
  wakeFor(forge, mirror);
  const now = findMirrorById(forge.store, mirror);
  if (now && !when.signal?.aborted) await noteExpiry(forge, now, { signal: when.signal });
  return results;
}

function isDue(
  { store }: Pick<Forge, 'store'>,
  mirror: Mirror,
  part: PartName,
  { stamp, why }: When,
): boolean {
  const one = mirrorPart(store, mirror.id, part);
  if (why === 'asked') return true;
  if (waitsForHand(one) || sharesRefusal(mirror, timesOfPart({ store }, one))) return false;
  if (one.nextTryAt !== null) return isTime(one, Date.now());
  return one.stamp !== stamp || why === 'comparison' || why === 'new';
}

async function bringPart(
  forge: Forge,
  row: Repository,
  mirror: Mirror,
  part: PartName,
  when: When,
): Promise<PartResult | undefined> {
  const begunAt = Date.now();
  const before = mirrorPart(forge.store, mirror.id, part);
  let done: Done;
  try {
    when.signal?.throwIfAborted();
    done = await (part === 'wiki' ? bringWiki : bringTickets)(forge, row, mirror, when);
  } catch (thrown) {
    if (isStopped(when.signal) || isBusy(thrown)) {
      // Nothing is wrong, and nothing else would have it looked at again before the next push.
      updateMirrorPart(forge.store, mirror.id, part, { nextTryAt: Date.now() + busyPause });
      return isBusy(thrown)
        ? { part, count: before.count, did: 'goes on when another fossilrepo is done', error: null }
        : undefined;
    }
    const error = causeOf(thrown, when.signal);
    const known =
      error instanceof OperatorError ? error : new OperatorError(messageOf(error), { cause: error });
    done = { count: before.count, did: '', more: false, error: known, work: {} };
  }
  const one = { row, mirror, part, begunAt, when };
  return transaction(forge.store, () => notePart(forge, one, before, done));
}

/** Remembers how a try went. */
function notePart(
  forge: Forge,
  one: { row: Repository; mirror: Mirror; part: PartName; begunAt: number; when: When },
  before: MirrorPart,
  { count, did, more, error, work }: Done,
): PartResult {
  const { store } = forge;
  const { row, mirror, part, begunAt, when } = one;
  const run = { mirror, why: when.why, begunAt, tookMs: Date.now() - begunAt };
  if (error instanceof RateLimited) {
    // Nothing is wrong: it goes on then.
    updateMirrorPart(store, mirror.id, part, { triedAt: begunAt, count, nextTryAt: error.until });
    if (did !== '') noteRun(store, run, part, work);
    return { part, count, did: [did, `goes on: ${error.message}`].filter(Boolean).join(', '), error: null };
  }
  if (error === undefined) {
    updateMirrorPart(store, mirror.id, part, {
      ...wentWell(begunAt, more ? Date.now() + soon : null),
      count,
      ...(!more && { stamp: when.stamp }),
    });
    if (did !== '' || before.error !== null) noteRun(store, run, part, work);
    if (before.error !== null) tell(forge, row.id, `The ${part} of ${row.name} are at ${mirror.name} again`);
    return { part, count, did, error: null };
  }
  const [what, kind] = [messageOf(error), error instanceof RemoteError ? error.kind : part];
  // One that is refused keeps the others waiting no longer than without it.
  const goesOn = more && !waitsForHand({ errorKind: kind });
  const next = (errorKind: string, failures: number) =>
    goesOn ? Date.now() + soon : nextTry(errorKind, failures, Date.now());
  const tries = wentWrong(before, begunAt, { error: what, errorKind: kind }, next);
  updateMirrorPart(store, mirror.id, part, { ...tries, count });
  noteRun(store, run, part, work, what);
  if (before.errorKind !== kind)
    tell(forge, row.id, `The ${part} of ${row.name} could not be brought to ${mirror.name}: ${what}`);
  return { part, count, did, error: what };
}

async function bringTickets(forge: Forge, row: Repository, mirror: Mirror, { signal }: When): Promise<Done> {
  refuseAnother(forge, row);
  const { count, more, error, ...work } = await syncTickets(
    forge,
    mirror,
    join(forge.paths.data, row.file),
    () => hostOf(forge, mirror, signal),
    { signal, until: Date.now() + longest },
  );
  const did = [describeIssues(work), more ? 'goes on' : ''].filter(Boolean).join(', ');
  return { count, did, more, error, work };
}

async function bringWiki(
  forge: Forge,
  row: Repository,
  mirror: Mirror,
  { why, signal }: When,
): Promise<Done> {
  const wiki = await withLock(forge.paths, `export-${row.id}`, patience, () => {
    refuseAnother(forge, row);
    return exportWiki(forge, row, signal);
  });
  const compare = why === 'asked' || why === 'comparison';
  const done = await syncWiki(forge, mirror, wiki, { compare, signal });
  tellOverwritten(forge, { row, mirror }, done);
  const { count, refs, commits, bytes, overwrote, error } = done;
  const moved = refs.length > 0 ? [`${count} pages`] : [];
  const did = [...moved, ...overwrote.map((ref) => `overwrote ${ref}`)].join(', ');
  return { count, did, more: false, error, work: { refs, commits, bytes } };
}

/** What has to be tried again has the mirror looked at then; of one whose code fails it is looked at by itself. */
function wakeFor({ store }: Pick<Forge, 'store'>, id: string): void {
  const mirror = findMirrorById(store, id);
  if (!mirror || mirror.error !== null) return;
  const times = partsOf({ store }, mirror)
    .map((part) => mirrorPart(store, id, part))
    .flatMap((one) => (waitsForHand(one) ? [] : (one.nextTryAt ?? [])));
  if (times.length > 0)
    updateMirror(store, id, { nextTryAt: Math.min(mirror.nextTryAt ?? Infinity, ...times) });
}

import { rmSync } from 'node:fs';
import { Cron } from 'croner';
import { coverageNow } from '../backup/coverage-now.ts';
import { isBusy, messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { bridgeFindings } from '../health/bridge.ts';
import { ensureCanary, flyCanary } from '../health/canary.ts';
import { lookAtDisks } from '../health/disk.ts';
import type { Finding } from '../health/finding.ts';
import { type LoopState, writeLoopState } from '../health/loop-state.ts';
import { probeParts } from '../health/parts.ts';
import { purgeExpired } from '../repos/change.ts';
import { dropOldUndos } from '../repos/restore/kept.ts';
import { sweepScratch } from '../repos/scratch.ts';
import { addEvent } from '../store/events.ts';
import { withLock } from '../system/locks.ts';
import { adoptStrangers, findStrangers, strayFolders } from './adopt.ts';
import { backoff } from './backoff.ts';
import { keptWaiting, mendingLong, type Waiting } from './delay.ts';
import { guardLogs } from './guard.ts';
import { keepHighWater } from './high-water.ts';
import { mend, mendInTurns, type Unread } from './mend.ts';
import { newsOf } from './news.ts';
import { nudgeReplication } from './nudge.ts';
import { tellEvents } from './tell-events.ts';
import { verifyDaily } from './verify-daily.ts';
import { verifyMirrorsDaily } from './verify-mirrors.ts';
import { watchBundle } from './watch-bundle.ts';
import { watchMirrors } from './watch-mirrors.ts';
import { watchOwner } from './watch-owner.ts';

export type Loop = { state: () => LoopState; stop: () => Promise<void> };

/** Rounds of mending begin each second, and so far apart at least. Milliseconds. */
const mendPause = 1_500;
/** How often the canary flies while it is well. One that failed flies again at the next chance, every ten seconds. Milliseconds. */
const canaryPause = 55_000;
/** What was kept for a while is cleared away at the start, and then so far apart: not every server is up for long. Milliseconds. */
const clearPause = 3_600_000;

/**
 * What `serve` does by itself: look at files, database and Litestream, mend what differs, adopt what was put there, ask the replica
 * whose it is, fly the canary, verify some of it a day, ask for mirrors to be brought up to date. Each at its own pace, so that a storage
 * that keeps one waiting doesn't blind the others. What it sees is written to `/run` after each look, for `status`; what it did is said.
 */
export function startLoop(forge: Forge, log: (text: string) => void): Loop {
  const failed = (error: unknown) => log(messageOf(error));
  // A clock that is set back must keep nothing from being mended.
  const tries = backoff(() => performance.now());
  const highWater = keepHighWater(forge);
  const owner = watchOwner(forge, {
    changed: () => void look().catch(failed),
    begins: highWater.forget,
  });
  const bundle = watchBundle(forge, () => owner.ours());
  const news = newsOf(log);
  const bridgeNews = newsOf(log);
  const guard = guardLogs(forge);
  const verification = verifyDaily(forge, () => owner.ours(), log);
  const startedAt = new Date().toISOString();
  const mirrors = verifyMirrorsDaily(forge, log);
  const unread = new Map<string, Unread>();
  const unfinished = new Map<string, Finding>();
  let turn = 0;
  let mendedAt = -Infinity;
  let clearedAt = -Infinity;
  let mending: { since: number; found: Finding[] } = { since: 0, found: [] };
  let waiting: Waiting | undefined;
  /** How much of this loop's own holds the lock that mending needs, or tries to. */
  let atWork = 0;
  let state: LoopState = { startedAt, at: startedAt, findings: [], covered: [], canary: null };

  const look = async (): Promise<void> => {
    const [parts, disk, covered] = await Promise.all([
      probeParts(forge),
      lookAtDisks([forge.paths.data, forge.paths.state]),
      coverageNow(forge),
    ]);
    const findings = [
      ...parts,
      ...disk,
      ...owner.findings(),
      ...bundle.findings(),
      ...mending.found,
      ...mendingLong(mending.since),
      ...keptWaiting(waiting),
    ];
    state = { ...state, at: new Date().toISOString(), findings, covered };
    writeLoopState(forge.paths, state);
    news(findings);
  };

  const mendAll = async (): Promise<void> => {
    mending = { ...mending, since: Date.now() };
    try {
      const found = owner.ours() ? await withLock(forge.paths, 'changes', 0, mendEach) : [];
      mending = { since: 0, found };
      waiting = undefined;
    } catch (error) {
      if (!isBusy(error)) throw error;
      mending = { ...mending, since: 0 };
      waiting = atWork > 0 ? undefined : { since: waiting?.since ?? Date.now(), why: messageOf(error) };
    }
  };

  /** Every other second; also in between when somebody put a file there, which is to be served within 5 s. */
  const mendOften = async (): Promise<void> => {
    if (performance.now() - mendedAt < mendPause && findStrangers(forge).length === 0) return;
    mendedAt = performance.now();
    await mendAll();
  };

  const mendEach = async (): Promise<Finding[]> => [
    ...(await guarded('server', () => mend(forge, tries, highWater, unfinished))),
    ...(await guarded('replica', guard)),
    ...(await guarded('adoption', () => adoptStrangers(forge, findStrangers(forge), Date.now()))),
    ...(await guarded('folders', () => Promise.resolve(strayFolders(forge)))),
    ...(await guarded('access', () => Promise.resolve(mendInTurns(forge, turn++, unread)))),
  ];

  /** Only while no command is at work: what looks wrong then may be half of something right. */
  const whenAlone = async (work: () => Promise<unknown>): Promise<void> => {
    atWork++;
    try {
      await withLock(forge.paths, 'changes', 0, work);
    } catch (error) {
      if (!isBusy(error)) throw error;
    } finally {
      atWork--;
    }
  };

  const whenOurs = async (work: () => Promise<void>): Promise<void> => {
    if (owner.ours()) await work();
  };

  const sing = async (): Promise<void> => {
    // While nothing may be written it would only say so once more.
    if (!owner.ours()) return;
    const { canary } = state;
    // A clock that was set back must not keep it on the ground.
    if (canary?.ok === true && Math.abs(Date.now() - Date.parse(canary.at)) < canaryPause) return;
    try {
      await whenAlone(() => ensureCanary(forge));
      state = { ...state, canary: { ...(await flyCanary(forge)), ok: true, error: null } };
    } catch (error) {
      const at = new Date().toISOString();
      const failed = { at, pushMs: 0, replicaMs: 0, txid: 0, ok: false, error: messageOf(error) };
      state = { ...state, canary: failed };
    }
  };

  const noteAndSave = async (): Promise<void> => {
    try {
      await whenOurs(highWater.look);
    } finally {
      highWater.save();
    }
  };

  const clear = async (): Promise<void> => {
    // What lies in the replica may be another server's meanwhile.
    if (!owner.ours() || performance.now() - clearedAt < clearPause) return;
    await whenAlone(() => {
      clearedAt = performance.now();
      return clearAway(forge);
    });
  };

  const options = { protect: true, catch: failed };
  const jobs = [
    new Cron('*/2 * * * * *', options, look),
    new Cron('* * * * * *', options, mendOften),
    new Cron('*/2 * * * * *', options, tellEvents(forge, log)),
    new Cron('*/5 * * * * *', options, () => owner.check()),
    new Cron('*/10 * * * * *', options, sing),
    new Cron('45 * * * * *', options, () => owner.beat()),
    // While the storage is down, the replica's age says so.
    new Cron('*/10 * * * * *', options, () => whenOurs(() => highWater.publish().catch(() => undefined))),
    new Cron('55 * * * * *', options, noteAndSave),
    new Cron('25 * * * * *', options, () => bundle.check()),
    new Cron('*/10 * * * * *', options, verification.check),
    new Cron('*/3 * * * * *', options, watchMirrors(forge)),
    new Cron('35 * * * * *', options, mirrors.check),
    new Cron('50 * * * * *', options, () => bridgeNews(bridgeFindings(forge, Date.now()))),
    new Cron('*/10 * * * * *', options, clear),
  ];
  const nudge = nudgeReplication(forge, highWater.note, failed);
  void owner
    .check()
    .then(() => Promise.all([bundle.check(), noteAndSave()]))
    .catch(failed);
  addEvent(forge.store, { kind: 'started', text: 'the management part started' });
  return {
    state: () => state,
    stop: () => {
      for (const job of jobs) job.stop();
      nudge?.close();
      owner.stop();
      bundle.stop();
      verification.stop();
      mirrors.stop();
      try {
        highWater.save();
      } catch (error) {
        failed(error);
      }
      rmSync(forge.paths.loop, { force: true });
      return Promise.resolve();
    },
  };
}

/** What was kept for a while is kept no longer. */
async function clearAway(forge: Forge): Promise<void> {
  dropOldUndos(forge);
  sweepScratch(forge.paths);
  await purgeExpired(forge);
}

/** A failure of one look at something is itself a finding, and doesn't keep the others from being done. */
async function guarded(about: string, work: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await work();
  } catch (error) {
    const next =
      error instanceof OperatorError && error.next !== undefined
        ? error.next
        : 'See fossilrepo logs management.';
    return [{ level: 'red', about, what: messageOf(error), next }];
  }
}

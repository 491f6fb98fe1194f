import { rmSync } from 'node:fs';
import { Cron } from 'croner';
import { coverageNow } from '../backup/coverage-now.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { ensureCanary, flyCanary } from '../health/canary.ts';
import type { Finding } from '../health/finding.ts';
import { type LoopState, writeLoopState } from '../health/loop-state.ts';
import { probeParts } from '../health/parts.ts';
import { purgeExpired } from '../repos/change.ts';
import { addEvent } from '../store/events.ts';
import { withLock } from '../system/locks.ts';
import { adoptStrangers, findStrangers, type Strangers } from './adopt.ts';
import { backoff } from './backoff.ts';
import { mend, mendAccess } from './mend.ts';
import { nudgeReplication } from './nudge.ts';
import { watchOwner } from './watch-owner.ts';

export type Loop = { state: () => LoopState; stop: () => Promise<void> };

/**
 * What `serve` does by itself, every few seconds: compare files, database and Litestream, mend what differs, adopt what was put there,
 * and once a minute fly the canary. What it sees is written to `/run` after each look, for `status`.
 */
export function startLoop(forge: Forge, log: (text: string) => void): Loop {
  const tries = backoff(() => Date.now());
  const strangers: Strangers = new Map();
  const owner = watchOwner(forge);
  const startedAt = new Date();
  let turn = 0;
  let lastEvent = '';
  let state: LoopState = {
    startedAt: startedAt.toISOString(),
    at: startedAt.toISOString(),
    findings: [],
    covered: [],
    canary: null,
  };

  const look = async (): Promise<void> => {
    const findings: Finding[] = [
      ...(await probeParts(forge)),
      ...(await guarded('replica', () => owner.check())),
    ];
    findings.push(...(await whenAlone(forge, async () => mendAll(findings))));
    const covered = await coverageNow(forge);
    state = { ...state, at: new Date().toISOString(), findings, covered };
    writeLoopState(forge.paths, state);
    for (const { level, what } of findings) if (what !== lastEvent) log(`${level}: ${what}`);
    lastEvent = findings.at(-1)?.what ?? '';
  };

  const mendAll = async (known: readonly Finding[]): Promise<Finding[]> => {
    if (!owner.ours()) return [];
    const found = await guarded('server', () => mend(forge, tries));
    found.push(
      ...(await guarded('adoption', () =>
        adoptStrangers(forge, findStrangers(forge), strangers, Date.now()),
      )),
    );
    if (known.length === 0)
      found.push(...(await guarded('access', () => Promise.resolve(mendAccess(forge, turn++)))));
    return found;
  };

  const sing = async (): Promise<void> => {
    try {
      await whenAlone(forge, async () => {
        await ensureCanary(forge);
        return [];
      });
      const round = await flyCanary(forge);
      state = { ...state, canary: { ...round, ok: true, error: null } };
    } catch (error) {
      const at = new Date().toISOString();
      state = {
        ...state,
        canary: { at, pushMs: 0, replicaMs: 0, txid: 0, ok: false, error: messageOf(error) },
      };
    }
  };

  const tidy = async (): Promise<void> => {
    await whenAlone(forge, async () => {
      await purgeExpired(forge);
      return [];
    });
  };

  const failed = (error: unknown) => log(messageOf(error));
  const options = { protect: true, catch: failed };
  const jobs = [
    new Cron('*/2 * * * * *', options, look),
    new Cron('*/20 * * * * *', options, () => owner.beat()),
    new Cron('30 * * * * *', options, sing),
    new Cron('0 17 * * * *', options, tidy),
  ];
  const nudge = nudgeReplication(forge);
  void owner.beat().catch(failed);
  addEvent(forge.store, { kind: 'started', text: 'the management part started' });
  return {
    state: () => state,
    stop: () => {
      for (const job of jobs) job.stop();
      nudge.close();
      rmSync(forge.paths.loop, { force: true });
      return Promise.resolve();
    },
  };
}

/** Only while no command is at work: what looks wrong then may be half of something right. */
async function whenAlone<T>(forge: Forge, work: () => Promise<T[]>): Promise<T[]> {
  try {
    return await withLock(forge.paths, 'changes', 0, work);
  } catch (error) {
    if (error instanceof OperatorError && error.exit === 'busy') return [];
    throw error;
  }
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

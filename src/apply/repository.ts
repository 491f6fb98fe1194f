import { chmodSync, existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { accessTo } from '../access/members.ts';
import { projectAccess } from '../access/project.ts';
import {
  abandonReplicating,
  eraseHistory,
  finishReplicating,
  replicateNow,
  stopReplicating,
  writeLitestreamConfig,
} from '../backup/replicate.ts';
import { closedMark, litestreamState, routeMark } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { checkGone, checkRepository } from '../health/outside.ts';
import { proveWriting } from '../health/writing.ts';
import { makingPlace, type RepositoryStep, servedName } from '../plan/repository.ts';
import { bringRepository } from '../repos/bring.ts';
import { drainDatabase, waitForAll, waitForOthers } from '../repos/drain.ts';
import { nameRepository } from '../repos/file.ts';
import { rebuildRepository } from '../repos/rebuild.ts';
import { fitIn } from '../repos/restore/fit.ts';
import { keepAside } from '../repos/restore/kept.ts';
import { restoreLitestreamTables } from '../repos/litestream-tables.ts';
import { makeRepository, removeDatabase, removeLogs } from '../repos/make.ts';
import { markClosed, markRoute } from '../repos/marks.ts';
import { findRepositoryById, type Repository, updateRepository } from '../store/repositories.ts';
import { moveDurably } from '../system/files.ts';

/** What the steps tell about what they did that was not certain before. */
export type RepositoryReport = { sanitised: string[] };

/**
 * Does the steps of one repository, one after the other. A name that was closed is opened again whatever happens; a killed run
 * leaves a row that says what was wanted, and `settle` (the loop, or the same command again) goes on from there.
 */
export async function applyRepositorySteps(
  steps: readonly RepositoryStep[],
  forge: Forge,
): Promise<RepositoryReport> {
  const report: RepositoryReport = { sanitised: [] };
  const closed = new Set<string>();
  try {
    for (const step of steps) {
      if (step.do === 'close') closed.add(step.name);
      await applyStep(step, forge, report);
      if (step.do === 'open') closed.delete(step.name);
    }
  } finally {
    for (const name of closed) rmSync(closedMark(forge.paths, name), { force: true });
  }
  return report;
}

async function applyStep(step: RepositoryStep, forge: Forge, report: RepositoryReport): Promise<void> {
  const { paths, store } = forge;
  const at = (file: string) => join(paths.data, file);
  switch (step.do) {
    case 'make':
      await makeRepository(forge, { ...step, file: at(makingPlace(step.id)) });
      return;
    case 'bring':
      report.sanitised.push(...(await bringRepository(forge, { ...step, file: at(makingPlace(step.id)) })));
      return;
    case 'record':
      updateRepository(store, step.id, step.changes);
      writeLitestreamConfig(forge);
      return;
    case 'describe':
      nameRepository(at(step.file), step);
      return;
    case 'project':
      projectAccess(at(step.file), accessTo(forge, rowOf(forge, step.id)));
      return;
    case 'close':
      markClosed(paths, step.name);
      // Requests that the edge let through before it saw the mark need a moment to reach the file.
      await sleep(50);
      return;
    case 'drain':
      await drain(forge, step);
      return;
    case 'abandon':
      await abandon(forge, step);
      return;
    case 'move':
      move(forge, step);
      return;
    case 'replicate':
      await replicateNow(forge, rowOf(forge, step.id));
      return;
    case 'route':
      markRoute(paths, step.name);
      return;
    case 'unroute':
      rmSync(routeMark(paths, step.name), { force: true });
      return;
    case 'open':
      rmSync(closedMark(paths, step.name), { force: true });
      return;
    case 'check':
      await checkRepository(forge, rowOf(forge, step.id));
      return;
    case 'prove':
      await proveWriting(forge, rowOf(forge, step.id), step.writable);
      return;
    case 'miss':
      await checkGone(forge, step.name);
      return;
    case 'rebuild':
      await rebuildRepository(forge, at(step.from), at(step.to));
      return;
    case 'prepare':
      restoreLitestreamTables(at(step.file));
      fitIn(at(step.file), step);
      projectAccess(at(step.file), accessTo(forge, rowOf(forge, step.id)));
      await drainDatabase(at(step.file));
      return;
    case 'exchange':
      exchange(at(step.from), at(step.to), step.keep === undefined ? undefined : at(step.keep));
      return;
    case 'erase':
      if (servedName(step.file) !== undefined) await stopReplicating(forge, at(step.file));
      await eraseHistory(forge, step.id);
      removeDatabase(at(step.file));
      rmSync(litestreamState(at(step.file)), { recursive: true, force: true });
      return;
  }
}

function rowOf(forge: Forge, id: string): Repository {
  const row = findRepositoryById(forge.store, id);
  if (!row) throw new OperatorError(`The repository ${id} is gone.`);
  return row;
}

/**
 * Everything that was acknowledged is in the replica, nobody has the file open, and it is one file: no `-wal` beside. Who was let in before
 * the name was closed is waited for while Litestream is still there to see what they commit.
 */
async function drain(forge: Forge, step: Extract<RepositoryStep, { do: 'drain' }>): Promise<void> {
  const file = join(forge.paths.data, step.file);
  writeLitestreamConfig(forge);
  await waitForOthers(file, (await forge.litestream.info()).pid);
  await finishReplicating(forge, step);
  await drainDatabase(file);
}

/** Nobody has the file open, and all that is left of it stays as it is: nothing in it can be relied on, or there is none. */
async function abandon(forge: Forge, step: Extract<RepositoryStep, { do: 'abandon' }>): Promise<void> {
  const file = join(forge.paths.data, step.file);
  await waitForOthers(file, (await forge.litestream.info()).pid);
  await abandonReplicating(forge, step);
  await waitForAll(file);
}

/**
 * Puts one file in another's place, which is kept under a name of its own if wanted. Somebody who looks sees the one or the other at any
 * moment. Litestream's state goes: it is of the former file, and without it Litestream sends all of the new one.
 */
function exchange(from: string, to: string, keep: string | undefined): void {
  rmSync(litestreamState(to), { recursive: true, force: true });
  if (keep !== undefined) keepAside(to, keep);
  // A log is left where it could not be written into its file: SQLite would take it for the new file's.
  removeLogs(to);
  // SQLite makes files that the group may only read; Fossil and Litestream both write here.
  chmodSync(from, 0o660);
  moveDurably(from, to);
}

function move(forge: Pick<Forge, 'paths'>, step: Extract<RepositoryStep, { do: 'move' }>): void {
  const from = join(forge.paths.data, step.from);
  const to = join(forge.paths.data, step.to);
  if (!existsSync(from) && existsSync(to)) return;
  if (existsSync(to))
    throw new OperatorError(`${to} is in the way; it is no repository of this server.`, {
      next: 'Move it away, or give the loop some seconds to adopt it under this name.',
      exit: 'busy',
    });
  // Litestream's state goes first: what another repository of the same name left would be taken for this one's.
  const hasState = existsSync(litestreamState(from));
  if (hasState || step.from.startsWith('work/tmp/'))
    rmSync(litestreamState(to), { recursive: true, force: true });
  if (hasState) moveDurably(litestreamState(from), litestreamState(to));
  // SQLite makes files that the group may only read; Fossil and Litestream both write here.
  chmodSync(from, 0o660);
  moveDurably(from, to);
}

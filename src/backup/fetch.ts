import { rmSync } from 'node:fs';
import { messageOf, OperatorError } from '../errors.ts';
import { litestreamRestore } from '../programs/litestream.ts';
import type { Server } from '../server.ts';
import type { Repository } from '../store/repositories.ts';
import { filesFor, type HistoryFile, listHistory } from './history.ts';
import { canKeepSingle, hasSingle, lostEnd, lostEndError } from './last-single.ts';
import { hexTxid, type ReplicaPart, replicaUrl } from './location.ts';
import { damaged, type Moment, momentAt, type MomentWish } from './moment.ts';
import { type Replica, storedHistory } from './open.ts';

/** A replica to read from: this server's own, or the one of a server that is gone. */
export type ReplicaSource = Pick<Server, 'config' | 'run'> & Replica;

/** One database's state in a replica, not read yet. */
export type Remote = { part: ReplicaPart; history: readonly HistoryFile[]; moment: Moment };

/** Finds a database's state in the replica. @throws OperatorError as `momentAt` does, and when the storage can't be asked */
export async function findRemote(
  source: ReplicaSource,
  part: ReplicaPart,
  wish: MomentWish,
): Promise<Remote> {
  const stored = storedHistory(source, part);
  const files = await listHistory(stored);
  return { part, history: files, moment: await momentAt({ ...stored, files }, wish) };
}

/**
 * Litestream will have to go on with the history of a repository, from nothing but what is in the replica.
 * @param beside the database where it may lie that the history ends with: it is put back from there when the name is closed
 * @throws OperatorError (check) when it can't
 */
export async function refuseLostEnd(
  source: ReplicaSource,
  { part, history }: Remote,
  row: Pick<Repository, 'id'>,
  beside?: string,
): Promise<void> {
  const txid = lostEnd(history);
  if (txid === undefined) return;
  const stored = storedHistory(source, part);
  if (beside !== undefined && canKeepSingle(stored, { file: beside, txid })) return;
  if (!(await hasSingle(stored, txid))) throw lostEndError(stored, txid, row);
}

/**
 * Writes what was found into a new file.
 * @throws OperatorError (check) naming the object that is damaged
 */
export async function fetchRemote(
  source: ReplicaSource,
  { part, history, moment }: Remote,
  file: string,
): Promise<void> {
  try {
    await restoreTo(source, part, moment.txid, file);
  } catch (error) {
    const reason = reasonOf(error);
    // Litestream could not be run, was killed, or has no room here: no object is to blame, and none must be moved away.
    if (reason === '' || /no space left/i.test(reason)) throw error;
    const culprit = await firstUnreadable(source, part, moment.files, file).catch(() => undefined);
    if (culprit === undefined) throw error;
    const others = history.filter((other) => other !== culprit);
    const problem = damaged(culprit.key, filesFor(others, moment.txid).missing === undefined);
    throw new OperatorError(`${problem.message} ${reason}`, {
      ...(problem.next !== undefined && { next: problem.next }),
      exit: 'check',
      cause: error,
    });
  }
}

async function restoreTo(
  { config, instance, secrets, run }: ReplicaSource,
  part: ReplicaPart,
  txid: number,
  file: string,
): Promise<void> {
  const url = replicaUrl(config.replica, instance, part);
  const from = { url, txid: hexTxid(txid), keys: secrets.storage };
  await run(litestreamRestore(config.programs.litestream, from, file));
}

/**
 * Litestream doesn't say which file it could not read. Each file of a plan is the last one of a plan of its own, so that restoring to
 * where the first ones lead finds it in a few tries.
 */
async function firstUnreadable(
  source: ReplicaSource,
  part: ReplicaPart,
  files: readonly HistoryFile[],
  file: string,
): Promise<HistoryFile | undefined> {
  const readable = async (count: number): Promise<boolean> => {
    const last = files[count - 1];
    if (last === undefined) return true;
    const aside = `${file}.tried`;
    try {
      await restoreTo(source, part, last.max, aside);
      return true;
    } catch {
      return false;
    } finally {
      for (const left of [aside, `${aside}.tmp`]) rmSync(left, { force: true });
    }
  };
  let good = 0;
  let bad = files.length;
  // What just failed and works now was the storage's trouble, not a file's.
  if (await readable(bad)) return undefined;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await readable(middle)) good = middle;
    else bad = middle;
  }
  return files[bad - 1];
}

/** The last line of what Litestream said, without the command that was run. */
function reasonOf(error: unknown): string {
  const [, said = ''] = messageOf(error).split(/:\n/, 2);
  return said.trim().split('\n').at(-1) ?? '';
}

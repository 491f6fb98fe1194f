import { dirname } from 'node:path';
import type { Forge } from '../../forge.ts';
import { haveRoom } from '../../repos/restore/prepare.ts';
import type { Summary } from '../../repos/contents/summary.ts';
import { fetchRemote, findRemote } from '../fetch.ts';
import { newestMarked } from '../high-water.ts';
import type { ReplicaPart } from '../location.ts';

/** What is known of a verification as far as it has come. Times are milliseconds, sizes bytes. */
export type Measured = {
  txid: number;
  artifacts: number;
  unversioned: number;
  bytes: number;
  fetchMs: number;
  checkMs: number;
  /** How much of each kind was there. */
  counts: Summary | null;
};

/** One database: its id, its place in the replica, and its live file. */
export type Live = { id: string; part: ReplicaPart; file: string };

/**
 * Writes a database as it is now into a new file, from the replica alone.
 * @param copies how many times its size will be needed beside it
 * @throws OperatorError: check when the replica doesn't hold it. ControlError when Litestream can't send what there is
 */
export async function fetchNow(
  forge: Forge,
  { id, part, file: live }: Live,
  file: string,
  copies: number,
  measured: Measured,
): Promise<void> {
  const started = performance.now();
  const { replicatedTxid } = await forge.litestream.syncNow(live);
  const marked = await newestMarked(forge, id);
  const remote = await findRemote(forge, part, { at: undefined, known: Math.max(replicatedTxid, marked) });
  measured.txid = remote.moment.txid;
  measured.bytes = remote.moment.databaseBytes;
  haveRoom(dirname(file), measured.bytes, {
    copies,
    next: 'Make room: a verification holds the whole state and a clone of it.',
  });
  await fetchRemote(forge, remote, file);
  measured.fetchMs = performance.now() - started;
}

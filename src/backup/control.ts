import { endianness } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import { codeOf } from '../errors.ts';
import { readPiece, sizeIfThere } from '../system/files.ts';
import { ControlError, exchange, failedAs } from './control-socket.ts';
import { whileLettingGo, whileSending } from './sending.ts';
import { bytesToSend } from './taken-out.ts';

export { ControlError, failedAs };

/** One database as Litestream sees it. */
export type Replicated = {
  path: string;
  /** `replicating` says only that it is being tried: it stays so in every failure. */
  status: 'replicating' | 'open' | 'stopped';
  /** When all that Litestream had taken out of the database was last seen to be in the replica. */
  lastSyncAt: Date | undefined;
  /** Why the last attempt to take transactions out of the database failed; `lastSyncAt` goes on in that case. */
  error: string | undefined;
};

export type LitestreamControl = ReturnType<typeof litestreamControl>;

const infoAnswer = z.object({
  version: z.string(),
  pid: z.int(),
  started_at: z.coerce.date(),
  database_count: z.int(),
});
const listAnswer = z.object({
  databases: z.array(
    z.object({
      path: z.string(),
      status: z.enum(['replicating', 'open', 'stopped']),
      last_sync_at: z.coerce.date().optional(),
    }),
  ),
});
const diagnosticAnswer = z.object({
  databases: z.array(z.object({ path: z.string(), error: z.string().optional() })),
});
const statusAnswer = z.object({ status: z.string() });
const unregisterAnswer = z.object({ status: z.string(), txid: z.int().optional() });
const syncAnswer = z.object({ txid: z.int(), replicated_txid: z.int() });

/**
 * A running Litestream, over its control socket (its server.go). Every call has a deadline in milliseconds.
 * All methods @throws ControlError
 */
export function litestreamControl(paths: Pick<Paths, 'litestreamSocket' | 'locks'>) {
  const ask = <T>(
    method: 'GET' | 'POST',
    path: string,
    answer: z.ZodType<T>,
    body?: object,
    timeoutMs = 5_000,
  ) => exchange({ socketPath: paths.litestreamSocket, method, path, body, timeoutMs }, answer);

  async function list(): Promise<Replicated[]> {
    const [listed, diagnostics] = await Promise.all([
      ask('GET', '/list', listAnswer),
      ask('GET', '/debug/sync-status', diagnosticAnswer),
    ]);
    const errors = new Map(diagnostics.databases.map(({ path, error }) => [path, error]));
    return listed.databases.map(({ path, status, last_sync_at }) => ({
      path,
      status,
      lastSyncAt: last_sync_at,
      error: errors.get(path) || undefined,
    }));
  }

  /**
   * Has Litestream take out what was committed; it sends that at its next sync interval. Without `wait` and `timeout`: with them Litestream
   * (0.5.17) does all of it under a context that it cancels at the end. When it opens a database under one, or writes the log into it
   * (checkpoint), the read transaction that it begins then, with which it keeps others from starting the log anew, ends with the context:
   * transactions are silently missing from the replica from then on.
   */
  async function takeOut(path: string, timeoutMs: number) {
    const { txid, replicated_txid } = await ask('POST', '/sync', syncAnswer, { path }, timeoutMs);
    return { txid, replicatedTxid: replicated_txid };
  }

  /** Has it sent at once, which needs `wait`: only for a log that is far from the length at which Litestream writes it into the database. */
  async function send(path: string, timeoutMs: number): Promise<number> {
    const timeout = Math.max(1, Math.ceil(timeoutMs / 1000));
    const body = { path, wait: true, timeout };
    // Litestream's own reason is worth more than our impatience.
    const { replicated_txid } = await ask('POST', '/sync', syncAnswer, body, timeout * 1000 + 2_000);
    return replicated_txid;
  }

  async function letGo(
    path: string,
    timeoutMs: number,
  ): Promise<{ txid: number | undefined; why: string | undefined }> {
    const timeout = Math.max(1, Math.ceil(timeoutMs / 1000));
    try {
      const { status, txid } = await ask(
        'POST',
        '/unregister',
        unregisterAnswer,
        { path, timeout },
        timeoutMs + 2_000,
      );
      return { txid: status === 'unregistered' ? txid : undefined, why: undefined };
    } catch (error) {
      if (!failedAs(error, 'refused')) throw error;
      if ((await list()).some((database) => database.path === path)) throw error;
      return { txid: undefined, why: error.message };
    }
  }

  /** @param end when it may last no longer, on `performance.now`'s clock; undefined when what there is to read and to send decides */
  async function sendAll(
    path: string,
    end: number | undefined,
  ): Promise<{ txid: number; replicatedTxid: number }> {
    const toRead = end === undefined ? patience(bytesToRead(path), readingPace) : end - performance.now();
    const { txid, replicatedTxid } = await takeOut(path, Math.max(1_000, Math.ceil(toRead)));
    if (txid === 0)
      throw new ControlError(
        'refused',
        `Litestream finds no database in ${path}.`,
        'See whether the file is there and is a SQLite database.',
      );
    let reached = replicatedTxid;
    const last = end ?? performance.now() + patience(bytesToSend(path, reached), sendingPace);
    for (let pause = 5; reached < txid; pause = Math.min(2 * pause, 160)) {
      const left = Math.ceil(last - performance.now());
      if (left <= 0)
        throw new ControlError(
          'refused',
          `${path} is in the replica up to transaction ${reached}, not up to ${txid}.`,
          'See whether the replica can be reached, and what Litestream says: fossilrepo logs replication.',
        );
      if (logPages(path) < shortLog) reached = await send(path, left);
      else {
        await sleep(Math.min(pause, left));
        reached = (await takeOut(path, Math.max(1_000, left))).replicatedTxid;
      }
    }
    return { txid, replicatedTxid: reached };
  }

  return {
    /** The running daemon: its version, process and since when. */
    async info(): Promise<{ version: string; pid: number; startedAt: Date; databases: number }> {
      const { version, pid, started_at, database_count } = await ask('GET', '/info', infoAnswer);
      return { version, pid, startedAt: started_at, databases: database_count };
    },

    /** Every database that Litestream has, with what it last did. */
    list,

    /**
     * Starts replicating a database from now on. It has Litestream's default intervals of one second until Litestream restarts with
     * the database in its configuration (handleRegister makes it by NewDB). Does nothing for one that it has; the file need not be there yet.
     */
    async register(path: string, replicaUrl: string): Promise<{ already: boolean }> {
      const { status } = await ask('POST', '/register', statusAnswer, { path, replica_url: replicaUrl });
      return { already: status === 'already_registered' };
    },

    /**
     * Stops replicating a database, having sent what it had. Call `syncNow` before: when the last of it can't be sent, Litestream lets go
     * of the database all the same and `why` says what went wrong. `txid` is the last transaction; undefined when it didn't have the database.
     */
    unregister: (path: string, timeoutMs = 30_000) =>
      whileLettingGo(paths, path, async () => {
        // One that is read for whoever waits for it no longer has its turn first (execSem in db.go).
        await takeOut(path, timeoutMs).catch((error: unknown) => {
          if (failedAs(error, 'slow')) throw error;
        });
        return await letGo(path, timeoutMs);
      }),

    /**
     * Returns when everything that was committed before the call is in the replica, and fails when it isn't. True only as long as no other
     * Litestream writes to the same place in the replica: the owner object sees to that.
     * @param deadline milliseconds; without it what there is to read and to send decides
     * @throws ControlError `unknown` when Litestream doesn't have the database, `refused` when it can't read it or reach the replica in time
     */
    async syncNow(path: string, deadline?: number): Promise<{ txid: number; replicatedTxid: number }> {
      const end = deadline === undefined ? undefined : performance.now() + deadline;
      return await whileSending(paths, path, deadline ?? 60_000, () => sendAll(path, end));
    },
  };
}

/** What the slowest disk, and the slowest line that a forge is run with (1 Mbit/s for each that is sent at a time), do in a millisecond. Bytes. */
const [readingPace, sendingPace] = [10_000, 125];

/** How long so many bytes may take: half a minute more than the work itself, six hours at most. Milliseconds. */
const patience = (bytes: number, pace: number): number =>
  Math.min(30_000 + Math.ceil(bytes / pace), 6 * 3_600_000);

/** A database and its log. */
const bytesToRead = (path: string): number => sizeIfThere(path) + sizeIfThere(`${path}-wal`);

/** Litestream writes a log into its database from 1,000 pages on (MinCheckpointPageN in its db.go). */
const shortLog = 900;

/**
 * How many pages a database's write-ahead log holds now: `mxFrame` in the log's index (WalIndexHdr in SQLite's wal.c, in the machine's
 * byte order). The log's own file keeps the length that it once had.
 */
function logPages(path: string): number {
  try {
    const frames = readPiece(`${path}-shm`, 16, 4);
    if (frames.length < 4) return 0;
    return endianness() === 'LE' ? frames.readUInt32LE() : frames.readUInt32BE();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

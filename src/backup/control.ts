import { request } from 'node:http';
import { z } from 'zod';
import { codeOf, OperatorError } from '../errors.ts';

/**
 * Why Litestream's control socket gave no result: `silent` (nobody answers there), `unknown` (it doesn't have that database),
 * `refused` (it tried and says why not).
 */
export class ControlError extends OperatorError {
  override name = 'ControlError';
  readonly reason: 'silent' | 'unknown' | 'refused';

  constructor(reason: ControlError['reason'], message: string, next: string, cause?: unknown) {
    super(message, { next, cause });
    this.reason = reason;
  }
}

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
const errorAnswer = z.object({ error: z.string() });

/**
 * A running Litestream, over its control socket (its server.go). Every call has a deadline in milliseconds.
 * All methods @throws ControlError
 */
export function litestreamControl(socketPath: string) {
  const ask = <T>(
    method: 'GET' | 'POST',
    path: string,
    answer: z.ZodType<T>,
    body?: object,
    timeoutMs = 5_000,
  ) => exchange({ socketPath, method, path, body, timeoutMs }, answer);

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

  async function sync(path: string, timeoutMs: number) {
    const timeout = Math.max(1, Math.ceil(timeoutMs / 1000));
    const { txid, replicated_txid } = await ask(
      'POST',
      '/sync',
      syncAnswer,
      { path, wait: true, timeout },
      timeoutMs,
    );
    return { txid, replicatedTxid: replicated_txid };
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
    async unregister(
      path: string,
      timeoutMs = 30_000,
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
        if (!(error instanceof ControlError) || error.reason !== 'refused') throw error;
        if ((await list()).some((database) => database.path === path)) throw error;
        return { txid: undefined, why: error.message };
      }
    },

    /**
     * Returns when everything that was committed before the call is in the replica, and fails when it isn't. True only as long as no other
     * Litestream writes to the same place in the replica: the owner object sees to that.
     * @throws ControlError `unknown` when Litestream doesn't have the database, `refused` when it can't read it or reach the replica in time
     */
    async syncNow(path: string, timeoutMs = 30_000): Promise<{ txid: number; replicatedTxid: number }> {
      const end = performance.now() + timeoutMs;
      const { txid, replicatedTxid } = await sync(path, timeoutMs);
      if (txid === 0)
        throw new ControlError(
          'refused',
          `Litestream finds no database in ${path}.`,
          'See whether the file is there and is a SQLite database.',
        );
      let reached = replicatedTxid;
      // Another transaction may have come between the two numbers: ours is in when the replica's number has reached it.
      while (reached < txid) {
        const left = end - performance.now();
        if (left <= 0)
          throw new ControlError(
            'refused',
            `${path} is in the replica up to transaction ${reached}, not up to ${txid}.`,
            'See what Litestream says: fossilrepo logs replication.',
          );
        reached = (await sync(path, left)).replicatedTxid;
      }
      return { txid, replicatedTxid: reached };
    },
  };
}

type Exchange = {
  socketPath: string;
  method: 'GET' | 'POST';
  path: string;
  body: object | undefined;
  timeoutMs: number;
};

async function exchange<T>(
  { socketPath, method, path, body, timeoutMs }: Exchange,
  answer: z.ZodType<T>,
): Promise<T> {
  const { status, text } = await send({ socketPath, method, path, body, timeoutMs }).catch(
    (error: unknown) => {
      throw silent(socketPath, path, timeoutMs, error);
    },
  );
  const data = parseJson(text);
  if (status !== 200) {
    const said = errorAnswer.safeParse(data).data?.error ?? `HTTP ${status}`;
    const named = body && 'path' in body ? ` (${String(body.path)})` : '';
    if (status === 404)
      throw new ControlError(
        'unknown',
        `Litestream does not replicate this database${named}.`,
        'The loop adds it within seconds; see fossilrepo status.',
      );
    throw new ControlError(
      'refused',
      `Litestream could not do ${path.slice(1)}${named}: ${said}`,
      nextFor(said),
    );
  }
  const parsed = answer.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new ControlError(
    'refused',
    `Litestream answered ${path} with something else than expected.`,
    'Use the Litestream that fossilrepo brings.',
  );
}

function nextFor(said: string): string {
  if (/no such table: _litestream/.test(said))
    return 'The repository was rebuilt by hand; the loop mends it within seconds.';
  if (said.includes('waiting for data')) return 'See whether the file is there and is a SQLite database.';
  if (/deadline|timeout|canceled|connection|dial|no such host|StatusCode: [45]/i.test(said))
    return 'See whether the replica can be reached: fossilrepo doctor.';
  return 'See what Litestream says: fossilrepo logs replication.';
}

function silent(socketPath: string, path: string, timeoutMs: number, error: unknown): ControlError {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM')
    return new ControlError(
      'silent',
      `${socketPath} may not be opened by this user.`,
      'Run the command as root.',
      error,
    );
  if (error instanceof Error && error.name === 'TimeoutError')
    return new ControlError(
      'silent',
      `Litestream did not answer ${path} within ${Math.round(timeoutMs / 1000)} s.`,
      'See what Litestream says: fossilrepo logs replication.',
      error,
    );
  return new ControlError(
    'silent',
    `Litestream does not answer (${code ?? 'closed'}): is the replication part running?`,
    'See fossilrepo status, and fossilrepo logs replication for why it stopped.',
    error,
  );
}

function send({
  socketPath,
  method,
  path,
  body,
  timeoutMs,
}: Exchange): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: Error) => reject(signal.aborted ? (signal.reason as Error) : error);
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = request({ socketPath, method, path, headers, signal, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (text += piece));
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', fail);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

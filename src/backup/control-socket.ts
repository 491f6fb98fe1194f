import { request } from 'node:http';
import { z } from 'zod';
import { codeOf, OperatorError } from '../errors.ts';
import { parseJson } from '../system/json.ts';

const errorAnswer = z.object({ error: z.string() });

/**
 * Why Litestream's control socket gave no result: `silent` (nobody answers there), `slow` (not in time, as while the
 * storage keeps it waiting), `unknown` (it doesn't have that database),
 * `refused` (it tried and says why not).
 */
export class ControlError extends OperatorError {
  override name = 'ControlError';
  readonly reason: 'silent' | 'slow' | 'unknown' | 'refused';

  constructor(reason: ControlError['reason'], message: string, next: string, cause?: unknown) {
    super(message, { next, cause });
    this.reason = reason;
  }
}

/** Whether the socket gave no result for just that reason. */
export const failedAs = (error: unknown, reason: ControlError['reason']): error is ControlError =>
  error instanceof ControlError && error.reason === reason;

/** One question to a Unix socket that speaks HTTP and JSON. */
type Exchange = {
  socketPath: string;
  method: 'GET' | 'POST';
  path: string;
  body: object | undefined;
  timeoutMs: number;
};

/** Asks once. @throws ControlError */
export async function exchange<T>(
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
    return 'See whether the replica can be reached: fossilrepo status.';
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
      'slow',
      `Litestream did not answer ${path} within ${Math.round(timeoutMs / 1000)} s: it does so while the storage keeps it waiting.`,
      'See whether the replica can be reached, and what Litestream says: fossilrepo logs replication.',
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

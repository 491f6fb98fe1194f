import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';

export type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string };

/** What a browser or curl would send to 127.0.0.1, with the name only in the Host header (and SNI). */
export type Asked = {
  port: number;
  host: string;
  path: string;
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Buffer;
  /** Over TLS, trusting these roots (PEM). */
  ca?: string;
  /** The TLS name, when it is another than the host. */
  servername?: string;
};

/** One request; redirects are not followed. */
export function ask({ port, host, path, method, headers, body, ca, servername }: Asked): Promise<Answer> {
  const options = {
    host: '127.0.0.1',
    port,
    path,
    method: method ?? 'GET',
    agent: false as const,
    headers: {
      host: `${host}:${port}`,
      ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
  };
  const sent =
    ca === undefined
      ? httpRequest(options)
      : httpsRequest({ ...options, ca, servername: servername ?? host });
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response) => {
      // A server that refuses a body answers before it has all of it, and then hangs up: what it answered counts.
      sent.off('error', reject).on('error', () => undefined);
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('close', () => {
        const whole = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: whole,
          text: whole.toString(),
        });
      });
    });
    sent.end(body);
  });
}

/** Bytes as they are: for what no proper client would send. Answers with the status, or 0 when the connection was just closed. */
export async function askRaw(port: number, bytes: string): Promise<{ status: number; text: string }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.setTimeout(15_000, () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  const text = Buffer.concat(chunks).toString('latin1');
  return { status: Number(/^HTTP\/1\.[01] (\d+)/.exec(text)?.[1] ?? 0), text };
}

import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { freePort, type S3 } from '../real/s3.ts';

/** A storage that counts what it is asked, by who asks, kind and level: `litestream LIST 0001`. */
export type CountedS3 = S3 & {
  /** What was asked since the last call. */
  taken: () => Map<string, number>;
};

/** Passes every request on to a storage and counts it. The storage stays the caller's to end. */
export async function counted(s3: S3): Promise<CountedS3> {
  let asked = new Map<string, number>();
  const agent = new Agent({ keepAlive: true });
  const port = await freePort();
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const kind = kindOf(method, url, headers['user-agent'] ?? '');
    asked.set(kind, (asked.get(kind) ?? 0) + 1);
    // The signature is over the address that the client used: its Host header goes along.
    const passed = request(s3.endpoint + url, { method, headers, agent }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...s3,
    endpoint: `http://127.0.0.1:${port}`,
    taken: () => {
      const before = asked;
      asked = new Map();
      return before;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await Promise.resolve();
    },
  };
}

function kindOf(method: string, url: string, agent: string): string {
  const { pathname, searchParams } = new URL(url, 'http://storage');
  const prefix = searchParams.get('prefix');
  const key = prefix ?? pathname;
  const [, level] = /\/(\d{4})\/[^/]*$/.exec(key) ?? [];
  const who = agent.includes('-js') ? 'management' : 'litestream';
  return [who, prefix === null ? method : 'LIST', level ?? key.split('/').at(-1) ?? ''].join(' ');
}

import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { storeDeadline } from '../../src/backup/store.ts';
import { freePort, type S3 } from '../real/s3.ts';

/** How a storage behaves: `broken` answers 500 to all, `full` 507 to what would be stored, `slow` waits with each answer for longer than
 * fossilrepo does, `narrow` takes a quarter of a megabyte a second in all, `curt` breaks off in the middle of the next object that is read, and is well
 * again. */
export type Mood = 'well' | 'broken' | 'full' | 'slow' | 'narrow' | 'curt' | 'away';

/** A storage that can be made to behave badly. */
export type UnrulyS3 = S3 & {
  /** From the next request on; what is under way is cut off when it goes away. */
  become: (mood: Mood) => Promise<void>;
};

/** How long `slow` waits. Milliseconds. */
export const latency = storeDeadline + 5_000;
/** Bytes a millisecond. */
const narrow = 250;

/** Passes requests on to a storage, or doesn't. The storage stays the caller's to end. */
export async function unruly(s3: S3): Promise<UnrulyS3> {
  let mood: Mood = 'well';
  const agent = new Agent({ keepAlive: true });
  const port = await freePort();
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    if (
      mood === 'broken' ||
      (mood === 'full' && ['PUT', 'POST'].includes(method) && !url.includes('?delete'))
    ) {
      // Read to the end, as a server does that finds out late.
      incoming.resume();
      await once(incoming, 'end').catch(() => undefined);
      refuse(outgoing, mood);
      return;
    }
    if (mood === 'slow') {
      await sleep(latency);
      // Who asked has given up meanwhile.
      if (outgoing.destroyed) return;
    }
    // The signature is over the address that the client used: its Host header goes along.
    const passed = request(s3.endpoint + url, { method, headers, agent }, (said) => {
      outgoing.writeHead(said.statusCode ?? 502, said.headers);
      if (mood === 'curt' && method === 'GET') {
        mood = 'well';
        said.once('data', (piece: Buffer) =>
          outgoing.write(piece.subarray(0, piece.length / 2), () => outgoing.destroy()),
        );
      } else said.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    if (mood === 'narrow') await trickle(incoming, passed);
    else incoming.pipe(passed);
  }

  let free = Promise.resolve();
  async function trickle(incoming: IncomingMessage, passed: Writable): Promise<void> {
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      free = free.then(() => sleep(piece.length / narrow));
      await free;
      passed.write(piece);
    }
    passed.end();
  }

  const listen = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const leave = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  await listen();
  return {
    ...s3,
    endpoint: `http://127.0.0.1:${port}`,
    become: async (wanted) => {
      const before = mood;
      mood = wanted;
      if (wanted === 'away' && before !== 'away') await leave();
      if (wanted !== 'away' && before === 'away') await listen();
    },
    async [Symbol.asyncDispose]() {
      if (mood !== 'away') await leave();
      agent.destroy();
    },
  };
}

function refuse(outgoing: ServerResponse, mood: 'broken' | 'full'): void {
  const [status, code, message] =
    mood === 'full'
      ? [507, 'InsufficientStorage', 'There is no space left.']
      : [500, 'InternalError', 'We encountered an internal error.'];
  outgoing.writeHead(status, { 'content-type': 'application/xml' });
  outgoing.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}

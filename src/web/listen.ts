import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { buildApp } from './app.ts';
import type { WebContext } from './context.ts';

/** How long answers that are being sent get when the server ends. Milliseconds. */
const patience = 1_000;

/** Listening pages. `close` lets answers that are being sent finish, for a second, and removes the socket. */
export type Listening = { close: () => Promise<void> };

/**
 * Serves the root domain's pages on `paths.serveSocket`, whose folder lets in the edge and nobody else. A socket that is
 * there already is a dead one: the caller holds the lock that makes `serve` the only one.
 */
export async function listen(context: WebContext): Promise<Listening> {
  const { serveSocket } = context.forge.paths;
  rmSync(serveSocket, { force: true });
  const answer = getRequestListener(buildApp(context).fetch);
  // The edge waits for slow clients' bodies too, so half a minute is enough for anything that these pages take.
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (incoming, outgoing) => {
    void answer(incoming, outgoing);
  });
  server.listen(serveSocket);
  await once(server, 'listening');
  chmodSync(serveSocket, 0o660);
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const late = setTimeout(() => {
        server.closeAllConnections();
      }, patience);
      await closed;
      clearTimeout(late);
    },
  };
}

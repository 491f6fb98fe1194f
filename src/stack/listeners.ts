import type { Config } from '../config/config.ts';

/** An address of this machine at which a part answers over TCP. */
export type Listener = { host: string; port: number };

/** Where parts listen; the others answer only at sockets below /run/fossilrepo. */
export function listenersOf(config: Config): { repositories: Listener[]; edge: Listener[] } {
  const { ports, tls, local, listen } = config;
  const open = [ports.http, ...(tls === 'off' ? [] : [ports.https]), ...(local ? [ports.repositories] : [])];
  return {
    repositories: [{ host: '127.0.0.1', port: ports.fossil }],
    edge: [
      ...listen.flatMap((host) => open.map((port) => ({ host, port }))),
      // With tls off nobody asks for certificates.
      ...(tls === 'off' ? [] : [{ host: '127.0.0.1', port: ports.ask }]),
    ],
  };
}

/** As people write it: `127.0.0.1:80`, `[::1]:80`. */
export const addressOf = ({ host, port }: Listener): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

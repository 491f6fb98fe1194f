import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { readIfThere } from '../system/files.ts';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';

export type EdgeAnswer = { status: number; location: string | undefined; body: string };

/** The PEM roots that a client of this forge has to trust besides the system's own, or undefined. */
export function extraRoots(
  config: Pick<Config, 'tls' | 'acme'>,
  paths: Pick<Paths, 'edgeRoot'>,
): string | undefined {
  if (config.tls === 'internal') return paths.edgeRoot;
  return config.tls === 'auto' ? config.acme.roots : undefined;
}

/**
 * Asks the edge as a browser would, but always this machine's own: the name and the certificate are checked, the address isn't
 * looked up, since many a router doesn't let a server reach itself by its public address.
 * @throws Error when the edge doesn't answer, or its certificate isn't good for the name
 */
export function askEdge(
  { config, paths }: { config: Config; paths: Pick<Paths, 'edgeRoot'> },
  address: string,
  timeout = 10_000,
): Promise<EdgeAnswer> {
  const url = new URL(address);
  const roots = extraRoots(config, paths);
  const ca = roots === undefined ? undefined : readIfThere(roots);
  const host = config.listen.find((listen) => listen.includes('.')) ?? config.listen[0] ?? '127.0.0.1';
  const options = {
    host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    path: url.pathname + url.search,
    headers: { host: url.host },
    signal: AbortSignal.timeout(timeout),
    agent: false as const,
  };
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:'
        ? httpsRequest({ ...options, servername: url.hostname, ...(ca !== undefined && { ca }) })
        : httpRequest(options);
    request.on('error', reject);
    request.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (body += piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body }),
      );
    });
    request.end();
  });
}

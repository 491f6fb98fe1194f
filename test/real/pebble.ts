import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment, run } from '../../src/system/run.ts';
import { freePorts } from './ports.ts';

/** A real ACME server that really validates, on free ports of loopback. Every name in the world resolves to 127.0.0.1 for it. */
export type Pebble = {
  /** For `acme.directory`. */
  directory: string;
  /** For `acme.roots`: a file with the certificate of Pebble's own HTTPS server. */
  roots: string;
  /** The root of the certificates that it gives out (PEM); new at each start. */
  authority: string;
  /** What it has been asked and has done so far. */
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Starts Debian's `pebble` and its name server `pebble-challtestsrv`.
 * @param httpPort where it looks for HTTP-01 challenges: the edge's `ports.http`
 * @param tlsPort where it looks for TLS-ALPN-01 challenges: the edge's `ports.https`
 */
export async function startPebble(httpPort: number, tlsPort: number): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'fossilrepo-pebble-'));
  // The edge, another user, reads the roots.
  chmodSync(folder, 0o755);
  const [listen, management, names, namesManagement] = await freePorts(4);
  const [roots, key] = [join(folder, 'own.pem'), join(folder, 'own.key')];
  await run({
    argv: [
      ...([
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
      ] as const),
      ...[
        '-subj',
        '/CN=pebble',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-days',
        '2',
        '-out',
        roots,
        '-keyout',
        key,
      ],
    ],
  });
  const configuration = join(folder, 'pebble.json');
  const pebble = {
    listenAddress: `127.0.0.1:${listen}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: roots,
    privateKey: key,
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  };
  writeFileSync(configuration, JSON.stringify({ pebble }));
  let log = '';
  const start = (file: string, args: string[]): ChildProcess => {
    const child = spawn(file, args, {
      env: cleanEnvironment({ PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.on('error', (error) => (log += `${file}: ${error.message}\n`));
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
    return child;
  };
  const nameServer = ['-dns01', `127.0.0.1:${names}`, '-management', `127.0.0.1:${namesManagement}`];
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
  const children = [
    start('pebble-challtestsrv', [...nameServer, ...off, '-defaultIPv4', '127.0.0.1', '-defaultIPv6', '']),
    start('pebble', ['-config', configuration, '-dnsserver', `127.0.0.1:${names}`]),
  ];
  async function dispose(): Promise<void> {
    for (const child of children) {
      if (child.exitCode !== null || child.pid === undefined) continue;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
    rmSync(folder, { recursive: true, force: true });
  }
  const root = `https://127.0.0.1:${management}/roots/0`;
  for (let waited = 0; ; waited += 100) {
    try {
      const authority = await get(root, readFileSync(roots, 'utf8'));
      return {
        directory: `https://127.0.0.1:${listen}/dir`,
        roots,
        authority,
        log: () => log,
        [Symbol.asyncDispose]: dispose,
      };
    } catch (error) {
      if (waited < 10_000) {
        await sleep(100);
        continue;
      }
      await dispose();
      throw new Error(`Pebble did not start:\n${log}`, { cause: error });
    }
  }
}

function get(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text)).on('error', reject);
    });
    sent.on('error', reject).end();
  });
}

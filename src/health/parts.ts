import { connect } from 'node:net';
import { codeOf, messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { type PartName, partNames } from '../stack/parts.ts';
import { forgeUrl } from '../repos/urls.ts';
import { askEdge } from './edge-request.ts';
import type { Finding } from './finding.ts';

/** How each part is asked whether it answers: not its supervisor, which knows only that a process is there. */
const probes: Record<PartName, (forge: Pick<Forge, 'config' | 'paths' | 'litestream'>) => Promise<unknown>> =
  {
    repositories: ({ config }) => opens(config.ports.fossil),
    replication: ({ litestream }) => litestream.info(),
    management: ({ paths }) => opensSocket(paths.serveSocket),
    // Whatever it says: it answers.
    edge: (forge) => askEdge(forge, `${forgeUrl(forge.config)}/health`, 5_000),
  };

/** The parts that don't answer. */
export async function probeParts(forge: Pick<Forge, 'config' | 'paths' | 'litestream'>): Promise<Finding[]> {
  const answers = await Promise.allSettled(partNames.map((part) => probes[part](forge)));
  return answers.flatMap((answer, index): Finding[] => {
    const part = partNames[index];
    if (answer.status === 'fulfilled' || part === undefined) return [];
    return [
      {
        level: 'red',
        about: part,
        what: `${part} does not answer: ${messageOf(answer.reason)}`,
        next: isUntrusted(answer.reason)
          ? 'Its certificate is not of an authority that this server knows. fossilrepo apply publishes an authority of its own; what became of a public certificate says fossilrepo logs edge.'
          : `It is restarted by itself, unless somebody stopped it: then fossilrepo start ${part}. Read why it ended with: fossilrepo logs ${part}`,
      },
    ];
  });
}

/** What OpenSSL says of a chain that ends in nobody known (verify(1)), as Node names it. */
const untrusted = [
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
];
const isUntrusted = (error: unknown): boolean => untrusted.includes(codeOf(error) ?? '');

const opens = (port: number) => connected({ host: '127.0.0.1', port });
const opensSocket = (path: string) => connected({ path });

function connected(to: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, timeout: 3_000 });
    socket.on('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.on('timeout', () => {
      socket.destroy();
      reject(new Error('no answer within 3 s'));
    });
    socket.on('error', reject);
  });
}

import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { totalmem } from 'node:os';
import prettyBytes from 'pretty-bytes';
import { replicaPlace } from '../backup/location.ts';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { codeOf, messageOf, OperatorError } from '../errors.ts';
import { listenersOf } from '../stack/listeners.ts';
import type { PartName } from '../stack/parts.ts';
import type { Supervisor } from '../stack/supervisor.ts';
import { findUser, isRoot, serviceUsers } from '../system/identity.ts';
import type { Output } from '../system/output.ts';
import { freeFor, nearest } from '../system/room.ts';
import type { Run } from '../system/run.ts';
import { checkClock } from './clock.ts';
import { listeningPorts } from './listening.ts';
import { checkNames } from './names.ts';
import { checkPrograms } from './programs.ts';
import { checkReplicaFolder } from './replica-folder.ts';

/** One thing looked at before anything is touched. */
export type Preflight = {
  what: string;
  /** `refuse` stops the installation. */
  verdict: 'fine' | 'warn' | 'refuse';
  message: string;
  next?: string;
};

/** Below this the parts don't fit beside each other; measured with ten repositories, doubled. */
const leastMemory = 400 * 1024 ** 2;
/** Debian's first number for a person's account; those below are for services. */
const firstPerson = 1000;
/** How Linux says that an address is none of the machine's. */
export const noSuchAddress = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'];
const leastDisk = 512 * 1024 ** 2;

type Subject = {
  config: Config;
  paths: Paths;
  run: Run;
  supervisor: Pick<Supervisor, 'kind'>;
  /** Our own parts that run now. */
  processes: ReadonlyMap<PartName, number>;
  /** Whether others are asked, too, who may be far away: before an installation, not whenever a server starts. */
  thorough?: boolean;
};

/** Looks at the machine: memory, disk, ports, clock, programs, the replica's folder, names. Changes nothing. */
export async function preflight(subject: Subject): Promise<Preflight[]> {
  const { config, paths, run, thorough = false } = subject;
  return [
    judgeMemory(memoryOf(totalmem(), process.constrainedMemory())),
    ...disks(subject),
    ...authorityRoots(config),
    ...(await checkClock(config, run, thorough)),
    ...(isRoot() && paths.root === '/' ? accounts() : []),
    ...(await checkPrograms(config, run, subject.supervisor)),
    ...(await checkReplicaFolder(subject)),
    ...(await ports(subject)),
    ...(await checkNames(config, thorough)),
  ];
}

/** @throws OperatorError with every refusal and what to do about it */
export function refuseUnless(found: readonly Preflight[]): void {
  const refused = found.filter(({ verdict }) => verdict === 'refuse');
  if (refused.length === 0) return;
  const next = [...new Set(refused.flatMap((one) => one.next ?? []))].join('\n       ');
  throw new OperatorError(refused.map(({ message }) => message).join('\n'), {
    ...(next !== '' && { next }),
    exit: 'check',
  });
}

/** What keeps a server from being made, but not one that has run from starting, or from being changed: its loop tells the rest. */
const atFirst = { start: ['memory', 'disk', 'names'], change: ['memory', 'disk'] } as const;

/** The same for a server that is about to start, or to be changed: one that has run before does it with what there is. */
export const asRunBefore = (
  found: readonly Preflight[],
  { database }: Pick<Paths, 'database'>,
  what: keyof typeof atFirst,
): Preflight[] => {
  const only: readonly string[] = existsSync(database) ? atFirst[what] : [];
  return found.map((one) =>
    one.verdict === 'refuse' && only.includes(one.what) ? { ...one, verdict: 'warn' } : one,
  );
};

/** Says what is only a warning. */
export function warnOf(found: readonly Preflight[], out: Pick<Output, 'warn'>): void {
  for (const one of found.filter(({ verdict }) => verdict === 'warn')) out.warn(inOneLine(one));
}

/** A finding and what to do about it. */
export const inOneLine = ({ message, next }: Preflight): string =>
  next === undefined ? message : `${message} ${next}`;

/**
 * What there is for us: a container may have less than its machine.
 * @param total the machine's, in bytes @param limit the container's; none is 0, or a number beyond any machine's
 */
export const memoryOf = (total: number, limit: number): number =>
  limit > 0 ? Math.min(total, limit) : total;

/** Whether the parts fit beside each other. @param total the memory there is, in bytes */
export function judgeMemory(total: number): Preflight {
  const message = `${prettyBytes(total)} of memory`;
  return total >= leastMemory
    ? { what: 'memory', verdict: 'fine', message }
    : {
        what: 'memory',
        verdict: 'refuse',
        message: `This machine has only ${message}.`,
        next: `Give it at least ${prettyBytes(leastMemory)}.`,
      };
}

/** Whether there is room to begin with. @param free bytes that may be written @param folder the repositories' place */
export function judgeDisk(free: number, folder: string): Preflight {
  const message = `${prettyBytes(free)} free for ${folder}`;
  return free >= leastDisk
    ? { what: 'disk', verdict: 'fine', message }
    : {
        what: 'disk',
        verdict: 'refuse',
        message: `There is only ${message}.`,
        next: `Free at least ${prettyBytes(leastDisk)} there.`,
      };
}

/** Each disk that is written to, once. One that only has the replica may be small: that it can be written to is tried. */
function disks({ config, paths }: Pick<Subject, 'config' | 'paths'>): Preflight[] {
  const place = replicaPlace(config.replica);
  const replica = place.kind === 'directory' ? [place.folder] : [];
  const byDisk = Map.groupBy(
    [paths.data, paths.state, ...replica],
    (folder) => statSync(nearest(folder)).dev,
  );
  return [...byDisk.values()].map(([folder = '']): Preflight => {
    const judged = judgeDisk(freeFor(folder), folder);
    return judged.verdict === 'refuse' && folder === replica[0] ? { ...judged, verdict: 'warn' } : judged;
  });
}

/** A certificate authority's own roots are a file of the operator's that no replica holds; without it no certificate is had. */
export function authorityRoots({ tls, acme: { roots } }: Pick<Config, 'tls' | 'acme'>): Preflight[] {
  if (tls !== 'auto' || roots === undefined) return [];
  const what = 'acme.roots';
  return existsSync(roots)
    ? [{ what, verdict: 'fine', message: `the roots of the certificate authority are at ${roots}` }]
    : [
        {
          what,
          verdict: 'refuse',
          message: `The roots of the certificate authority are not on this machine: there is no ${roots} (acme.roots).`,
          next: `Copy that file to ${roots} and run the command again; it is in no replica.`,
        },
      ];
}

/** A service's user of the same name will do, as that of Debian's caddy: units name home and group themselves. A person's won't. */
function accounts(): Preflight[] {
  return Object.values(serviceUsers).flatMap((name): Preflight[] => {
    const user = findUser(name);
    if (user === undefined || user.uid < firstPerson) return [];
    return [
      {
        what: `user ${name}`,
        verdict: 'refuse',
        message: `There is a user ${name} (${user.uid}) who is a person: what belongs to the service would be theirs.`,
        next: `Give that user another name: usermod --login ANOTHER ${name}.`,
      },
    ];
  });
}

async function ports({ config, processes }: Subject): Promise<Preflight[]> {
  const ours = new Set([...processes.values()].flatMap(listeningPorts));
  const { edge, repositories } = listenersOf(config);
  const checks = [...edge, ...repositories]
    .filter(({ port }) => !ours.has(port))
    .map(async ({ host, port }): Promise<Preflight> => {
      const taken = await whyNotOpen(host, port);
      const what = `port ${port}`;
      // The edge goes without IPv6 where there is none.
      if (taken === undefined || (['::', '::1'].includes(host) && noSuchAddress.includes(taken)))
        return { what, verdict: 'fine', message: `${host}:${port} is free` };
      if (noSuchAddress.includes(taken))
        return {
          what,
          verdict: 'refuse',
          message: `This machine has no address ${host}.`,
          next: 'Correct listen in fossilrepo.yaml.',
        };
      if (taken === 'EACCES')
        return {
          what,
          verdict: 'refuse',
          message: `This user may not open port ${port}.`,
          next: 'Run it as root, or set ports above 1023 in fossilrepo.yaml.',
        };
      return {
        what,
        verdict: 'refuse',
        message: `Port ${port} on ${host} is in use by another program (${taken}).`,
        next: `See which with: ss -ltnp 'sport = :${port}'. End it, or set another port in fossilrepo.yaml (ports).`,
      };
    });
  return Promise.all(checks);
}

function whyNotOpen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(codeOf(error) ?? messageOf(error)));
    server.listen({ host, port, exclusive: true, ipv6Only: host.includes(':') }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

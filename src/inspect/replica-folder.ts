import { existsSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ownerKey } from '../backup/owner.ts';
import { replicaPlace } from '../backup/location.ts';
import type { Config } from '../config/config.ts';
import { type Paths, programHome } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Supervisor } from '../stack/supervisor.ts';
import { isWithin } from '../system/files.ts';
import { findUser, isRoot, serviceUsers } from '../system/identity.ts';
import type { Run } from '../system/run.ts';
import type { Preflight } from './preflight.ts';
import { realOf, whyUnreachable } from './reachable.ts';

/** Debian's own folders: with one of these given to the service user alone the machine would be of no use any more. */
const systems = [
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/proc',
  '/run',
  '/sbin',
  '/sys',
  '/usr',
];
/** The same, but folders may be made in them. */
const shared = [
  ...['/home', '/media', '/mnt', '/opt', '/root', '/srv', '/tmp', '/var'],
  ...[
    '/var/backups',
    '/var/cache',
    '/var/lib',
    '/var/local',
    '/var/log',
    '/var/mail',
    '/var/opt',
    '/var/spool',
    '/var/tmp',
  ],
];
/** What a file system's own check leaves in its uppermost folder. */
const lostFound = 'lost+found';

type Subject = {
  config: Pick<Config, 'replica'>;
  paths: Paths;
  run: Run;
  supervisor: Pick<Supervisor, 'kind'>;
};

/**
 * Whether the folder that is to be the replica may be given to the service user, who is the only one that can read it from then on. Looks
 * only; nothing for a replica elsewhere.
 */
export async function checkReplicaFolder({ config, paths, run, supervisor }: Subject): Promise<Preflight[]> {
  const what = 'replica';
  try {
    const place = replicaPlace(config.replica);
    if (place.kind !== 'directory') return [];
    const folder = resolve(place.folder);
    refuseOwn(folder, paths);
    // The one that install makes, and what is a replica already, are nobody else's.
    if (folder !== paths.replica && !existsSync(join(folder, ownerKey))) {
      refuseSystem(folder);
      refuseForeign(folder, paths);
    }
    const unreachable =
      supervisor.kind === 'systemd' ? await whyUnreachable(folder, serviceUsers.management, run) : undefined;
    if (unreachable) {
      const { why, next } = unreachable;
      return [{ what, verdict: 'refuse', message: `The replica can't be ${folder}: ${why}.`, next }];
    }
    return [{ what, verdict: 'fine', message: `${folder} may be the replica` }];
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const { message, next } = error;
    return [{ what, verdict: 'refuse', message, ...(next !== undefined && { next }) }];
  }
}

/** What belongs to the server itself goes with it: a purge would take the replica along. And what it is in would be closed to it. */
function refuseOwn(folder: string, paths: Paths): void {
  const { configFolder, repos, routes, work, state, bundle, record, log, run } = paths;
  const own = [configFolder, repos, routes, work, state, bundle, record, log, run].flatMap((path) => [
    path,
    realOf(path),
  ]);
  const real = realOf(folder);
  const around = own.find((path) => isWithin(folder, path) || isWithin(real, path));
  if (around !== undefined)
    throw new OperatorError(`The replica can't be in ${around}, which is the server's own.`, {
      next: 'Name another folder, on another disk if possible.',
    });
  const below = [...own, programHome].find((path) => isWithin(path, folder) || isWithin(path, real));
  if (below !== undefined)
    throw new OperatorError(
      `The replica can't be ${folder}: ${below}, which is the server's own, lies in it.`,
      {
        next: 'Name another folder, on another disk if possible.',
      },
    );
}

function refuseSystem(folder: string): void {
  const real = realOf(folder);
  const system = systems.find((path) => isWithin(folder, path) || isWithin(real, path));
  if (system !== undefined)
    throw new OperatorError(`The replica can't be ${folder}: ${system} is the system's own.`, {
      next: 'Name an empty folder elsewhere, on another disk if possible.',
    });
  if ([folder, real].some((path) => shared.includes(path)))
    throw new OperatorError(
      `The replica can't be ${folder} itself, which others use, too.`,
      emptyOneIn(folder),
    );
}

/** Who owns what is there would be shut out of it. A replica says by its owner object that it is one. */
function refuseForeign(folder: string, { root }: Paths): void {
  const found = statOf(folder);
  if (found === undefined) return;
  if (!found.isDirectory())
    throw new OperatorError(`The replica can't be ${folder}: that is no folder.`, {
      next: 'Name a folder, on another disk if possible.',
    });
  const service = isRoot() && root === '/' ? findUser(serviceUsers.management)?.uid : process.getuid?.();
  if (found.uid === service) return;
  const names = namesIn(folder).filter((name) => name !== lostFound);
  if (names.length > 0)
    throw new OperatorError(
      `The replica can't be ${folder}: something else is in it (${names.slice(0, 3).join(', ')}), and only the server could read that from then on.`,
      emptyOneIn(folder),
    );
}

const emptyOneIn = (folder: string) => ({
  next: `Make an empty folder in it and name that: mkdir ${join(folder, 'fossilrepo')}.`,
});

/** What can't be looked at, as a file server that is gone, is told by whoever writes there. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** One that this user may not read is not theirs to give away either: trying to write there says so. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

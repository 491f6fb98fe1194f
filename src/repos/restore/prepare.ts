import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { fetchRemote, findRemote, refuseLostEnd, type Remote } from '../../backup/fetch.ts';
import { newestMarked } from '../../backup/high-water.ts';
import { messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import type { Repository } from '../../store/repositories.ts';
import type { Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { freeFor } from '../../system/room.ts';
import { repositoryId } from '../file.ts';
import { removeDatabase } from '../make.ts';
import { scratch } from '../scratch.ts';
import { type StateCounts, verifyRepository } from '../verify.ts';
import type { Aside } from './aside.ts';
import { type Present, readPresent } from './present.ts';

/** Another state of a repository that was checked to the last hash and lies ready to take its place. */
export type PreparedRestore = {
  /** Of this restore. */
  id: string;
  row: Repository;
  kind: Restore['kind'];
  /** The instant that was asked for. */
  at: Date;
  /** Where the state lies, relative to the data folder. */
  file: string;
  counts: StateCounts;
  /** What it takes the place of, and what changes by that. */
  present: Present;
};

/** Fetches the state of an instant beside the live file and says what would change. Needs no lock: it may take long. */
export async function prepareRestore(
  forge: Forge,
  row: Repository,
  at: Date,
  aside: Aside,
): Promise<PreparedRestore> {
  const id = randomUUID();
  const file = aside.placeOf(id);
  const state = join(forge.paths.data, file);
  aside.note({ id, repository: row.id, kind: 'restore', at: at.getTime() });
  try {
    const remote = await findState(forge, row, at);
    await refuseLostEnd(forge, remote, row, join(forge.paths.data, row.file));
    const counts = await fetchFound(forge, row, remote, state);
    const present = readPresent(join(forge.paths.data, row.file), state);
    return { id, row, kind: 'restore', at, file, counts, present };
  } catch (error) {
    aside.drop(id);
    removeDatabase(state);
    throw error;
  }
}

/**
 * Finds a repository's state of an instant in the replica, and warns where it may not be just what is expected.
 * @throws OperatorError: usage outside the window; check when the replica's history is damaged
 */
export async function findState(
  forge: Forge,
  row: Pick<Repository, 'id' | 'name' | 'state' | 'file'>,
  at: Date,
): Promise<Remote> {
  const known = await newestKnown(forge, row);
  const remote = await findRemote(forge, `repos/${row.id}`, { at, known });
  const { moment } = remote;
  if (moment.twice)
    forge.out.warn(
      `The server's clock was changed around that time: of two states of ${row.name} the later one is taken.`,
    );
  if (moment.merged)
    forge.out.warn(
      `Single pushes of that time are kept no longer: this is ${row.name} as it was at ${showInstant(moment.takenAt)}, the last moment before it that is kept.`,
    );
  return remote;
}

/**
 * Writes a repository as it was at an instant into a new file, and reads that to the end.
 * @throws OperatorError: usage outside the window; check when the replica's history or the state in it is damaged
 */
export async function fetchState(
  forge: Forge,
  row: Pick<Repository, 'id' | 'name' | 'state' | 'file'>,
  at: Date,
  file: string,
  room: Room = {},
): Promise<StateCounts> {
  return await fetchFound(forge, row, await findState(forge, row, at), file, room);
}

async function fetchFound(
  forge: Forge,
  row: Pick<Repository, 'id' | 'name'>,
  remote: Remote,
  file: string,
  room: Room = {},
): Promise<StateCounts> {
  haveRoom(dirname(file), remote.moment.databaseBytes, room);
  await fetchRemote(forge, remote, file);
  return await checkState(forge, row, file);
}

/** Until what the history has to go: what Litestream has sent as of now, or what was once seen in the replica. */
async function newestKnown(
  forge: Forge,
  row: Pick<Repository, 'id' | 'name' | 'state' | 'file'>,
): Promise<number> {
  const marked = await newestMarked(forge, row.id);
  if (row.state !== 'active') return marked;
  try {
    const { replicatedTxid } = await forge.litestream.syncNow(join(forge.paths.data, row.file));
    return Math.max(marked, replicatedTxid);
  } catch (error) {
    forge.out.warn(
      `What was pushed to ${row.name} in the last moments may not be in the replica: ${messageOf(error)}`,
    );
    return marked;
  }
}

/** How often a state's size is needed, and what to do where there is less. */
type Room = { copies?: number; next?: string };

/**
 * Looks for room for a state and what becomes of it.
 * @param bytes the state's size @param room for an exchange unless told otherwise: the state itself, and what Litestream makes of it, since
 *   the first transaction after it holds all of it, here and in a folder's replica
 * @throws OperatorError when the folder's disk has less left
 */
export function haveRoom(
  folder: string,
  bytes: number,
  { copies = 3, next = 'Make room, or write the state to another disk: --into FOLDER.' }: Room = {},
): void {
  const free = freeFor(folder);
  const needed = copies * bytes;
  if (free >= needed) return;
  throw new OperatorError(
    `The disk of ${folder} has ${prettyBytes(free)} left, and restoring needs ${prettyBytes(needed)}.`,
    { next },
  );
}

/** @throws OperatorError (check) when a state is of another repository */
export function checkIdentity(row: Pick<Repository, 'id' | 'name'>, file: string): void {
  const id = repositoryId(file);
  if (id !== row.id)
    throw new OperatorError(
      `What lies there for ${row.name} is another repository: ${id ?? 'one without an id'}.`,
      {
        next: `Its own id is ${row.id}; see whether two servers wrote to one replica.`,
        exit: 'check',
      },
    );
}

/** @throws OperatorError (check) when a state is of another repository, or anything in it has another hash than it should */
export async function checkState(
  forge: Pick<Forge, 'run' | 'config' | 'paths'>,
  row: Pick<Repository, 'id' | 'name'>,
  file: string,
): Promise<StateCounts> {
  checkIdentity(row, file);
  using home = scratch(forge.paths);
  const { errors, ...counts } = await verifyRepository(
    forge.run,
    { program: forge.config.programs.fossil, home: home.path },
    file,
  );
  if (errors.length > 0)
    throw new OperatorError(`${row.name} is damaged in that state: ${errors.slice(0, 5).join('; ')}`, {
      next: 'Choose an earlier time.',
      exit: 'check',
    });
  return counts;
}

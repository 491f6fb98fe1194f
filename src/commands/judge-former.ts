import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import type { Bringing } from '../apply/bringing.ts';
import type { FormerServer } from '../backup/former.ts';
import { heartbeatAge, type Owner } from '../backup/owner.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { readBrought } from '../store/brought.ts';
import { knownInstance, openStore } from '../store/store.ts';
import { showInstant } from '../system/instant.ts';
import { freeFor } from '../system/room.ts';

/** How long after its last heartbeat a server counts as running: it says so every minute. Milliseconds. */
export const alive = 75_000;

/** By so much may a heartbeat's age be wrong: it is told by two clocks, each looked at when its server was installed. Milliseconds. */
export const clocksApart = 300_000;

/** So many files that are in the way are named. */
const named = 3;

/** What of one server is in its place already must not go on as another's. */
export function refuseAnother(begun: Bringing, owner: Owner): void {
  if (begun.instance === owner.instance) return;
  throw new OperatorError(
    `Another server is being brought back here already: instance ${begun.instance}, from ${begun.from}. This replica is of instance ${owner.instance}.`,
    {
      next: `fossilrepo install --from ${begun.from} goes on with the one begun; fossilrepo uninstall --purge first brings back the other.`,
      exit: 'usage',
    },
  );
}

/** @throws OperatorError (usage) when there is another server here */
export function isHere(paths: Paths, instance: string): boolean {
  if (!existsSync(paths.database)) return false;
  using store = openStore(paths);
  const here = knownInstance(store);
  if (here === undefined || here === instance) return here !== undefined;
  throw new OperatorError('There is another forge on this machine already.', {
    next: 'Bring the server back on a machine of its own, or fossilrepo uninstall --purge first.',
    exit: 'usage',
  });
}

/** What is here would stay as it is. A run that was killed when all was in its place is run again with its instant, and goes on. */
export function refuseOtherInstant(paths: Paths, at: Date | undefined): void {
  if (at === undefined) return;
  using store = openStore(paths);
  const before = readBrought(store)?.at ?? undefined;
  if (before === at.toISOString()) return;
  const goOn =
    before === undefined
      ? ''
      : `It was brought to ${showInstant(new Date(before))}: the command without --at goes on with that. `;
  throw new OperatorError(`This server is here already: install does not bring it to ${showInstant(at)}.`, {
    next: `${goOn}fossilrepo restore --all --at ${at.toISOString()} brings its repositories back to then. For a machine that is to be made anew: fossilrepo uninstall --purge first.`,
    exit: 'usage',
  });
}

/** Of a run that goes on, what is in its place is that run's own. Before the first one it is of nobody knows when: it would pass for brought back. */
export function refuseLeft(paths: Paths): void {
  const left = [paths.repos, paths.trash].flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => /\.fossil(-wal|-shm|-journal)?$/.test(name))
          .map((name) => join(folder, name))
      : [],
  );
  if (left.length === 0) return;
  const more = left.length > named ? ` and ${left.length - named} more` : '';
  throw new OperatorError(
    `There are repositories on this machine already, and what comes from the replica goes there: ${left.slice(0, named).join(', ')}${more}.`,
    {
      next: `Move all that ends in .fossil, and what SQLite keeps beside it (-wal, -shm, -journal), out of ${paths.repos} and ${paths.trash}, and run the command again. When the server is back, a file that is put into ${paths.repos} under a free name is adopted.`,
      exit: 'usage',
    },
  );
}

/** Each is looked at when its turn comes, with what restoring needs besides. That all of them don't fit is known before. */
export function refuseWithoutRoom({ data }: Paths, repositories: FormerServer['repositories']): void {
  const needed = repositories.reduce((sum, { bytes }) => sum + bytes, 0);
  const free = freeFor(data);
  if (free >= needed) return;
  throw new OperatorError(
    `The repositories to bring back take ${prettyBytes(needed)}, and the disk of ${data} has ${prettyBytes(free)} left.`,
    { next: `Mount a larger disk at ${data}, or take a larger machine, and run the command again.` },
  );
}

/** Two servers that write to one replica would spoil it: of one that was heard of a moment ago, it is not known whether it runs. */
export function refuseAlive(owner: Owner): void {
  const age = heartbeatAge(owner);
  if (age > alive) return;
  throw new OperatorError(
    `The server on ${owner.hostname} runs: it was last heard of ${Math.round(age / 1000)} s ago.`,
    {
      next: 'Stop it and try again in a minute, or add --takeover: it then stops writing to the replica within seconds.',
      exit: 'usage',
    },
  );
}

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { administratorLogin } from '../../access/administrator.ts';
import { OperatorError } from '../../errors.ts';
import { alone, type Forge } from '../../forge.ts';
import { fossilPull, readPull } from '../../programs/fossil.ts';
import { openRepository } from '../../repos/open.ts';
import { cameBy } from '../../repos/restore/fit.ts';
import { scratch } from '../../repos/scratch.ts';
import { secret } from '../../secrets/secret.ts';
import { findRepositoryById } from '../../store/repositories.ts';
import { UpstreamError } from './error.ts';

/** How long it may take until everything is in the hosted repository. Milliseconds. */
const deadline = 3_600_000;

/** For how long others may come in between. Milliseconds. */
const patience = 30_000;

/**
 * Brings what a file on this machine has into a hosted repository, as Fossil brings it: artifacts only, no settings, no users. Done again it
 * does what was missing. Then it is looked whether all is there.
 * @param what.from a file of the same project
 * @param what.restore by which restore the hosted file was there when that was made for it (`cameBy`)
 * @throws OperatorError when it is not, the repository then has a part of it; busy when it was restored meanwhile, and nothing came
 */
export async function deliver(
  forge: Forge,
  repository: string,
  { from, restore }: { from: string; restore: string | undefined },
  signal: AbortSignal | undefined,
): Promise<void> {
  // A repository that is renamed, deleted or restored meanwhile has its file somewhere else.
  await alone(forge, async () => {
    const row = findRepositoryById(forge.store, repository);
    if (row?.state !== 'active') throw new OperatorError('The repository was deleted meanwhile.');
    if (row.archived) throw archived(row.name);
    const file = join(forge.paths.data, row.file);
    if (cameBy(file) !== restore)
      throw new OperatorError(`${row.name} was restored meanwhile, and nothing came.`, {
        next: 'Run the command again.',
        exit: 'busy',
      });
    using home = scratch(forge.paths);
    const pull = fossilPull(forge.config.programs.fossil, {
      file,
      from: secret(from),
      user: administratorLogin,
      home: home.path,
    });
    const bring = async () => {
      const { problem } = readPull(await forge.run({ ...pull, timeout: deadline, signal }), false);
      return { problem, missing: notDelivered(from, file) };
    };
    let { problem, missing } = await bring();
    let before = Infinity;
    for (const until = Date.now() + patience; mayCome(problem, missing, before) && Date.now() < until;) {
      before = missing.length;
      await sleep(250);
      ({ problem, missing } = await bring());
    }
    forgetPeer(file);
    if (problem === undefined && missing.length === 0) return;
    throw new UpstreamError(
      'incomplete',
      `${row.name} did not take all that came: ${problem ?? `${missing.length} artifacts are missing, ${missing[0] ?? ''} for one`}.`,
      { next: 'Run it again; it goes on from what is there.' },
    );
  });
}

/**
 * Fossil reads before it writes, and SQLite then waits for no other writer: it says so at once, and nothing came
 * (sqlite3BtreeBeginTrans calls the busy handler only where nothing was read). And it may end well with a part of it done: while
 * it gets less that is missing.
 */
const mayCome = (problem: string | undefined, missing: readonly string[], before: number): boolean =>
  problem === undefined
    ? missing.length > 0 && missing.length < before
    : problem.includes('database is locked');

export const archived = (name: string): UpstreamError =>
  new UpstreamError('archived', `${name} is archived: it takes nothing from its upstream.`, {
    next: `fossilrepo repo unarchive ${name} lets it go on.`,
  });

/** Artifacts of one file that another has not, and does not refuse. */
export function notDelivered(from: string, to: string): string[] {
  using source = openRepository(from, { readOnly: true });
  using target = openRepository(to, { readOnly: true });
  const has = target.prepare(
    'SELECT 1 FROM blob WHERE uuid = ?1 AND size >= 0 UNION ALL SELECT 1 FROM shun WHERE uuid = ?1',
  );
  return source
    .prepare(
      `SELECT uuid FROM blob WHERE size >= 0 AND rid NOT IN (SELECT rid FROM private)
         AND uuid NOT IN (SELECT uuid FROM shun)`,
    )
    .all()
    .map((row) => String(row['uuid']))
    .filter((hash) => has.get(hash) === undefined);
}

/** Fossil notes with whom a repository talked; a file of ours that is gone the next moment is nothing to note. */
function forgetPeer(file: string): void {
  const database = openRepository(file, { readOnly: false });
  try {
    database.exec(
      `DELETE FROM config WHERE name GLOB 'syncwith:*' OR name GLOB 'syncfrom:*' OR name IN ('last-sync-url', 'last-sync-pw')`,
    );
  } finally {
    database.close();
  }
}

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inReplica } from '../backup/window.ts';
import { storedHistory } from '../backup/open.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { fossilAddUnversioned, fossilClone, fossilSyncUnversioned } from '../programs/fossil.ts';
import { createRepository } from '../repos/create.ts';
import { repositoryUrl } from '../repos/urls.ts';
import { canaryName } from '../repos/names.ts';
import { openRepository } from '../repos/open.ts';
import { findRepository, type Repository } from '../store/repositories.ts';
import { withLock } from '../system/locks.ts';
import { addressingOf, clientOf, signedInUrl } from './outside.ts';

/** What one round of the canary took. Milliseconds. */
export type CanaryRound = { at: string; pushMs: number; replicaMs: number; txid: number };

/** The canary's repository; made when it isn't there yet. The caller holds the `changes` lock. */
export async function ensureCanary(forge: Forge): Promise<Repository> {
  const row = findRepository(forge.store, canaryName);
  if (row?.state === 'active') return row;
  const wish = {
    name: canaryName,
    visibility: 'private',
    description: 'Written to by fossilrepo itself',
    from: undefined,
    hidden: true,
  } as const;
  return createRepository(forge, wish);
}

/** A round that meets another one (the loop's, an install's) waits for its end: both push from the same clone. Milliseconds. */
const patience = 90_000;

/**
 * Pushes through the edge like anybody else and looks for it in the replica's storage. What is pushed is one unversioned file that is
 * replaced each time, so that the canary never grows.
 * @throws OperatorError with the step that failed
 */
export const flyCanary = (forge: Forge): Promise<CanaryRound> =>
  withLock(forge.paths, 'canary', patience, () => fly(forge));

async function fly(forge: Forge): Promise<CanaryRound> {
  const row = findRepository(forge.store, canaryName);
  if (row?.state !== 'active')
    throw new OperatorError('There is no canary yet.', { next: 'Run fossilrepo install.' });
  const url = signedInUrl(forge, repositoryUrl(forge.config, canaryName, await addressingOf(forge.config)));
  const clone = join(forge.paths.canary, `${row.id}.fossil`);
  const live = join(forge.paths.data, row.file);
  const { fossil } = forge.config.programs;
  const home = forge.paths.canary;
  const started = performance.now();
  if (!existsSync(clone)) {
    mkdirSync(home, { recursive: true });
    // The login in the clone is the one that `fossilEnvironment` names.
    await forge.run(
      clientOf(forge, {
        ...fossilClone(fossil, { url, file: clone, adminUser: 'fossilrepo', home }),
        timeout: 60_000,
      }),
    );
  }
  const at = new Date().toISOString();
  const song = join(home, 'song.txt');
  writeFileSync(song, `${at}\n`);
  await forge.run(fossilAddUnversioned(fossil, { home, clone, file: song, name: 'song.txt' }));
  await forge.run(clientOf(forge, fossilSyncUnversioned(fossil, { home, clone, url })));
  if (hashOfSong(clone) !== hashOfSong(live))
    throw new OperatorError('A push through the edge did not arrive.', {
      next: 'See fossilrepo logs edge and logs repositories.',
    });
  const pushed = performance.now();
  const { txid } = await forge.litestream.syncNow(live, 20_000);
  if (!(await inReplica(storedHistory(forge, `repos/${row.id}`), txid)))
    throw new OperatorError(
      `Litestream says that transaction ${txid} of the canary is in the replica, but it isn't there.`,
      {
        next: 'See whether another server writes to the same replica, and fossilrepo logs replication.',
      },
    );
  return {
    at,
    pushMs: Math.round(pushed - started),
    replicaMs: Math.round(performance.now() - pushed),
    txid,
  };
}

function hashOfSong(file: string): unknown {
  const database = openRepository(file, { readOnly: true });
  try {
    return database.prepare("SELECT hash FROM unversioned WHERE name = 'song.txt'").get()?.['hash'];
  } finally {
    database.close();
  }
}

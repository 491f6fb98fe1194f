import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { applyRepositorySteps } from '../../apply/repository.ts';
import { fetchRemote, findRemote, refuseLostEnd } from '../../backup/fetch.ts';
import type { MomentWish } from '../../backup/moment.ts';
import type { Forge } from '../../forge.ts';
import { placeOf } from '../../plan/repository.ts';
import { type Repository, updateRepository } from '../../store/repositories.ts';
import { removeDatabase } from '../make.ts';
import type { StateCounts } from '../verify.ts';
import { checkState, haveRoom } from './prepare.ts';

/** Where its state is fetched to, relative to the data folder. */
const fetchedPlace = (id: string): string => `work/tmp/bring-back-${id}.fossil`;

/**
 * A repository of a server that is being brought back: fetched beside, checked to the last hash, with today's access, then put into its
 * place whole. One that is in its place is left: a killed run goes on behind it.
 * @returns what was checked, or undefined when it was there already
 */
export async function bringBack(
  forge: Forge,
  row: Repository,
  wish: MomentWish,
): Promise<StateCounts | undefined> {
  const place = placeOf(row);
  if (existsSync(join(forge.paths.data, place))) return undefined;
  const aside = fetchedPlace(row.id);
  const file = join(forge.paths.data, aside);
  removeDatabase(file);
  try {
    const remote = await findRemote(forge, `repos/${row.id}`, wish);
    await refuseLostEnd(forge, remote, row);
    haveRoom(forge.paths.data, remote.moment.databaseBytes);
    await fetchRemote(forge, remote, file);
    const counts = await checkState(forge, row, file);
    await applyRepositorySteps(
      [
        { do: 'prepare', id: row.id, file: aside, restore: undefined, shun: [] },
        { do: 'move', from: aside, to: place },
      ],
      forge,
    );
    // Without Litestream's configuration, which the caller writes once: with a thousand repositories it is long.
    updateRepository(forge.store, row.id, { file: place });
    return counts;
  } catch (error) {
    removeDatabase(file);
    throw error;
  }
}

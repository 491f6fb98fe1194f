import type { Forge } from '../forge.ts';
import { type Mirror, mirroredFiles, servedMirrors } from '../store/mirrors.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import { getSetting, setSetting } from '../store/store.ts';

/** A repository in service with its mirrors. */
export type Mirrored = { row: Repository; mirrors: Mirror[] };

const key = 'mirrors.verified';
const day = 24 * 3_600_000;
/** Each repository's turn comes once so often. Days. */
const cycle = 7;

/**
 * How many repositories with mirrors are to be verified now; 0: it is not time, or there are none. That it was asked is remembered: once a day it
 * is time, and not on the day that it begins, since what has just been pushed needs no second look.
 * @param now milliseconds since 1970
 */
export function takeRound({ store }: Pick<Forge, 'store'>, now: number): number {
  const last = getSetting(store, key);
  // A clock that was set back must not put it off.
  if (last !== undefined && Math.abs(now - Number(last)) < day) return 0;
  // At its beginning: a round that ends the server is not begun again and again.
  setSetting(store, key, String(now));
  return last === undefined ? 0 : Math.ceil(mirroredFiles(store).length / cycle);
}

/** All that have mirrors, the one whose turn was longest ago first, whatever came of it: what can't be verified keeps no other waiting. */
export function byVerifyTurn({ store }: Pick<Forge, 'store'>): Mirrored[] {
  const groups = Map.groupBy(servedMirrors(store), ({ repository }) => repository);
  const oldest = ({ mirrors }: Mirrored) =>
    Math.min(...mirrors.map(({ verifyTriedAt }) => verifyTriedAt ?? 0));
  return [...groups]
    .flatMap(([id, mirrors]) => {
      const row = findRepositoryById(store, id);
      return row ? [{ row, mirrors }] : [];
    })
    .sort((one, other) => oldest(one) - oldest(other));
}

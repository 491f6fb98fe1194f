import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { getSetting, setSetting, type Store } from '../store/store.ts';

/**
 * While the fence is up nothing may be written to the replica: it is another server's, or its disk isn't there. It is kept in the
 * management database, so that a Litestream that starts meanwhile gets an empty configuration.
 */
export const isFenced = (store: Store): boolean => getSetting(store, 'replica.fenced') === 'yes';

export function setFence(store: Store, up: boolean): void {
  if (isFenced(store) !== up) setSetting(store, 'replica.fenced', up ? 'yes' : 'no');
}

/** @throws OperatorError while the fence is up */
export function refuseWhileFenced(store: Store): void {
  if (isFenced(store))
    throw new OperatorError('Nothing may be written to the replica now: it is not ours, or not there.', {
      next: 'fossilrepo status says why and what to do.',
    });
}

type Where = Pick<Forge['config']['replica'], 'url' | 'endpoint'>;

const addressOf = ({ url, endpoint }: Where) => `${url} ${endpoint ?? ''}`.trim();

/** Whether this server made this replica its own before: from then on an empty one is a wrong one. */
export const wasClaimed = (store: Store, replica: Where): boolean =>
  getSetting(store, 'replica.claimed') === addressOf(replica);

export function noteClaimed(store: Store, replica: Where): void {
  if (!wasClaimed(store, replica)) setSetting(store, 'replica.claimed', addressOf(replica));
}

/** An empty replica at the same address is right: the operator says so. */
export const forgetClaim = (store: Store): void => setSetting(store, 'replica.claimed', '');

/** How often this server was brought back elsewhere, as far as it knows. */
export const generationOf = (store: Store): number => Number(getSetting(store, 'replica.generation') ?? 0);

/** This server is the one that was brought back: the replica is its own from now on. */
export function noteBroughtBack(store: Store, replica: Where, generation: number): void {
  setSetting(store, 'replica.generation', String(generation));
  setFence(store, false);
  noteClaimed(store, replica);
}

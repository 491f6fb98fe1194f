import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { getSetting, setSetting, type Store } from '../store/store.ts';

type Where = Pick<Forge['config']['replica'], 'url' | 'endpoint'>;
type Fenced = { config: { replica: Where }; store: Store };

/**
 * While the fence is up nothing may be written to the replica: it is another server's, its disk isn't there, or it is at an address where
 * this server has yet to begin anew (`begin-anew.ts`). It is kept in the management database, so that a Litestream that starts meanwhile
 * gets an empty configuration.
 */
export const isFenced = ({ config, store }: Fenced): boolean =>
  fenceOf(store) !== 'down' || isElsewhere(store, config.replica);

/** `asking`: whose the replica is has not been found out since the machine was started. */
export type Fence = 'down' | 'asking' | 'up';

const written = { down: 'no', asking: 'asking', up: 'yes' } as const;
const fences = ['asking', 'up'] as const;

/** The fence that was put up: what the replica is decides that, and the address alone doesn't. */
export const fenceOf = (store: Store): Fence =>
  fences.find((fence) => written[fence] === getSetting(store, 'replica.fenced')) ?? 'down';

export function setFence(store: Store, fence: Fence): void {
  if (fenceOf(store) !== fence) setSetting(store, 'replica.fenced', written[fence]);
}

/** @throws OperatorError while the fence is up */
export function refuseWhileFenced(forge: Fenced): void {
  if (!isFenced(forge)) return;
  if (fenceOf(forge.store) === 'asking' && !isElsewhere(forge.store, forge.config.replica))
    throw new OperatorError(
      'Nothing may be written to the replica yet: whether a copy of this server runs is being asked, as after each boot.',
      {
        next: 'Run it again in twelve seconds; should it say the same then, fossilrepo status says why.',
        exit: 'busy',
      },
    );
  throw new OperatorError(
    'Nothing may be written to the replica now: it is not ours, not there, or not begun with yet.',
    { next: 'fossilrepo status says why and what to do.' },
  );
}

const addressOf = ({ url, endpoint }: Where) => `${url} ${endpoint ?? ''}`.trim();

/** Whether this server made this replica its own before: from then on an empty one is a wrong one. */
export const wasClaimed = (store: Store, replica: Where): boolean =>
  getSetting(store, 'replica.claimed') === addressOf(replica);

/** Whether the last replica that this server made its own is not this one, or is to be forgotten. Before the first one there is none. */
export function isElsewhere(store: Store, replica: Where): boolean {
  return getSetting(store, 'replica.claimed') !== undefined && !wasClaimed(store, replica);
}

export function noteClaimed(store: Store, replica: Where): void {
  if (!wasClaimed(store, replica)) setSetting(store, 'replica.claimed', addressOf(replica));
}

/** Whether the replica was found to be ours since the machine was started. @param boot as in `thisOwner` */
export const wasOursInBoot = (store: Store, boot: string): boolean =>
  getSetting(store, 'replica.boot') === boot;

export function noteBoot(store: Store, boot: string): void {
  if (!wasOursInBoot(store, boot)) setSetting(store, 'replica.boot', boot);
}

/** An empty replica at the same address is right: the operator says so. */
export const forgetClaim = (store: Store): void => setSetting(store, 'replica.claimed', '');

/** How often this server was brought back elsewhere, as far as it knows. */
export const generationOf = (store: Store): number => Number(getSetting(store, 'replica.generation') ?? 0);

/** This server is the one that was brought back: the replica is its own from now on. */
export function noteBroughtBack(store: Store, replica: Where, generation: number): void {
  setSetting(store, 'replica.generation', String(generation));
  setFence(store, 'down');
  noteClaimed(store, replica);
}

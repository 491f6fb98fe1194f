import type { Forge } from '../../forge.ts';
import { addEvent } from '../../store/events.ts';
import { findRepositoryById } from '../../store/repositories.ts';
import { openRestores, type Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { concludeRestore } from './exchange.ts';

/** A repository with a killed restore, and why it can't be told what became of that. */
export type Unsettled = { name: string; error: unknown };

/**
 * Finds out what became of restores that were killed, and clears away what they left. The caller holds the `changes` lock, so that none
 * is at work.
 * @returns those of which it can't be found out now: each is looked at again, and keeps nobody from the others
 */
export function settleRestores(forge: Pick<Forge, 'paths' | 'store'>): Unsettled[] {
  return openRestores(forge.store).flatMap((restore) => {
    const row = findRepositoryById(forge.store, restore.repository);
    const name = row?.name ?? restore.repository;
    try {
      const done = concludeRestore(forge, restore, row, { killed: true });
      const text = toldAs(restore, name, done);
      addEvent(forge.store, { kind: 'restored', text, repository: restore.repository });
      return [];
    } catch (error) {
      return [{ name, error }];
    }
  });
}

/** What is to be said of a restore that was killed. */
export function toldAs(
  { kind, at, begunAt }: Pick<Restore, 'kind' | 'at' | 'begunAt'>,
  name: string,
  done: boolean,
): string {
  const what =
    kind === 'undo'
      ? `Taking back the last restore of ${name}`
      : `A restore of ${name} to ${showInstant(new Date(at))}`;
  return `${what}, begun at ${showInstant(new Date(begunAt))}, was cut short: ${done ? 'it has taken place' : 'nothing was changed'}.`;
}

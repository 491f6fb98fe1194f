import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { addEvent } from '../../store/events.ts';
import { findRepositoryById } from '../../store/repositories.ts';
import { openRestores, type Restore } from '../../store/restores.ts';
import { showInstant } from '../../system/instant.ts';
import { concludeRestore } from './exchange.ts';

/**
 * Finds out what became of restores that were killed, and clears away what they left. The caller holds the `changes` lock, so that none
 * is at work.
 * @returns one sentence for each
 */
export function settleRestores(forge: Pick<Forge, 'paths' | 'store'>): string[] {
  return openRestores(forge.store).flatMap((restore) => {
    const row = findRepositoryById(forge.store, restore.repository);
    try {
      const done = concludeRestore(forge, restore, row, { interrupted: true });
      const text = toldAs(restore, row?.name ?? restore.repository, done);
      addEvent(forge.store, { kind: 'restored', text, repository: restore.repository });
      return [text];
    } catch (error) {
      // A file that can't be read is found and told by whoever looks into files.
      if (error instanceof OperatorError) return [];
      throw error;
    }
  });
}

/** What is to be said of a restore that was killed. */
export function toldAs({ kind, at, begunAt }: Restore, name: string, done: boolean): string {
  const what =
    kind === 'undo'
      ? `Taking back the last restore of ${name}`
      : `A restore of ${name} to ${showInstant(new Date(at))}`;
  return `${what}, begun at ${showInstant(new Date(begunAt))}, was cut short: ${done ? 'it has taken place' : 'nothing was changed'}.`;
}

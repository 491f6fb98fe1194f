import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { undoPlace } from '../plan/exchange.ts';
import { whereKept } from '../repos/restore/kept.ts';
import type { Restore } from '../store/restores.ts';

/**
 * What lay in a repository's place before a restore, or its undo. `undo`: the command that puts it back; null where it was no state, or is kept
 * no longer. `kept`: where it lies, as it was; null when it doesn't.
 */
export type Former = { was: Restore['was']; undo: string | null; kept: string | null };

/** The option that takes one back. */
export const backFrom = (kind: Restore['kind']): string => (kind === 'undo' ? '--redo' : '--undo');

/** Of a restore that was done. @param name what the repository is called */
export function formerOf(
  { paths }: Pick<Forge, 'paths'>,
  name: string,
  { id, kind, was }: Pick<Restore, 'id' | 'kind' | 'was'>,
): Former {
  const kept = whereKept(join(paths.data, undoPlace(id)));
  const undo = `fossilrepo restore ${name} ${backFrom(kind)}`;
  return { was, undo: was === 'whole' && kept !== undefined ? undo : null, kept: kept ?? null };
}

/** What is said of it. */
export function describeFormer({ was, undo, kept }: Former): string {
  if (was === 'missing')
    return kept === null
      ? 'There was no file before.'
      : `There was no file before; the log that was left of it is kept for seven days: ${kept}`;
  if (kept === null) return 'What was there before is kept no longer.';
  return undo === null
    ? `The damaged file is kept for seven days: ${kept}`
    : `What was there before is kept for seven days: ${undo}`;
}

import { alone, type Forge } from '../forge.ts';
import { settleRestores, toldAs } from '../repos/restore/settle.ts';
import type { Repository } from '../store/repositories.ts';
import { lastRestore, noteTold, openRestores, type Restore } from '../store/restores.ts';

/**
 * Tells what became of restores of these repositories that were killed: nobody has been told. It decides what can be taken back now.
 * @returns those in which taking back the last restore has taken place: run again, `--undo` would take that back in turn
 */
export async function tellKilled(
  forge: Forge,
  rows: readonly Repository[],
  { dryRun }: { dryRun: boolean },
): Promise<{ row: Repository; restore: Restore }[]> {
  const ids = new Set(rows.map(({ id }) => id));
  if (openRestores(forge.store).some(({ repository }) => ids.has(repository)))
    await alone(forge, () => Promise.resolve(settleRestores(forge)));
  const killed = rows.flatMap((row) => {
    const restore = lastRestore(forge.store, row.id);
    return restore?.interrupted === true ? [{ row, restore }] : [];
  });
  for (const { row, restore } of killed) {
    forge.out.warn(toldAs(restore, row.name, restore.outcome === 'done'));
    if (!dryRun) noteTold(forge.store, restore.id);
  }
  return killed.filter(({ restore: { kind, outcome } }) => kind === 'undo' && outcome === 'done');
}

import { join } from 'node:path';
import { OperatorError } from '../errors.ts';
import { alone, type Forge } from '../forge.ts';
import { isUnderWay, settleAsides } from '../repos/restore/aside.ts';
import { isWhole } from '../repos/restore/present.ts';
import { settleRestores, toldAs } from '../repos/restore/settle.ts';
import type { Repository } from '../store/repositories.ts';
import { lastRestore, openRestores, type Restore } from '../store/restores.ts';
import { isAge, showInstant } from '../system/instant.ts';
import { formerOf } from './restore-former.ts';

/** A repository whose last restore, or its undo, was done by a command that was killed before it could say so. */
export type Killed = { row: Repository; restore: Restore };

/**
 * Tells what became of restores of these repositories that were killed: nobody has been told. What they left is cleared away.
 * @returns them, whatever became of each; whoever goes on notes that they were told
 */
export async function tellKilled(forge: Forge, rows: readonly Repository[]): Promise<Killed[]> {
  settleAsides(forge);
  const ids = new Set(rows.map(({ id }) => id));
  if (openRestores(forge.store).some(({ repository }) => ids.has(repository)))
    await alone(forge, () => Promise.resolve(settleRestores(forge)));
  const killed = rows.flatMap((row) => {
    const restore = lastRestore(forge.store, row.id);
    // A command over several tells of each when all of them are done.
    return restore?.interrupted === true && !isUnderWay(forge.paths, restore.id) ? [{ row, restore }] : [];
  });
  for (const { row, restore } of killed)
    forge.out.warn(toldAs(restore, row.name, restore.outcome === 'done'));
  return killed;
}

/** Those of the killed that brought their repository to an instant; without those whose file was lost since. */
export const tookPlace = ({ paths }: Pick<Forge, 'paths'>, killed: readonly Killed[]): Killed[] =>
  killed.filter(
    ({ row, restore: { kind, outcome } }) =>
      kind === 'restore' && outcome === 'done' && isWhole(join(paths.data, row.file)),
  );

/** Nobody types a command again later than this after it was killed. Milliseconds. */
const again = 24 * 3_600_000;

/**
 * An age is another instant when it is typed again: nobody can know whether the same is meant, and done once more over what a killed one did,
 * `--undo` would only lead there.
 * @param typed as it was given with `--at`, which is `at`
 * @throws OperatorError (usage)
 */
export function refuseAgeAgain(
  forge: Pick<Forge, 'paths'>,
  killed: readonly Killed[],
  typed: string,
  at: Date,
): void {
  if (!isAge(typed)) return;
  const others = killed.filter(
    ({ restore }) => restore.at !== at.getTime() && Date.now() - restore.begunAt < again,
  );
  const [before] = tookPlace(forge, others);
  if (before === undefined) return;
  const { row, restore } = before;
  const { undo } = formerOf(forge, row.name, restore);
  const then = new Date(restore.at);
  throw new OperatorError(
    `${row.name} is as it was at ${showInstant(then)} by the restore that was cut short, and ${typed} is another time by now.`,
    {
      next: `To go on with that one: fossilrepo restore ${row.name} --at ${then.toISOString()}.${undo === null ? '' : ` To take it back: ${undo}.`}`,
      exit: 'usage',
    },
  );
}

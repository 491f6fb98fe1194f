import { exitCodes, messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Repository } from '../store/repositories.ts';
import { answerFor, type Attempts, failures } from '../system/attempts.ts';

/** A repository that is as it was at an instant. `unfinished`: what failed after the state was in its place. */
export type Done = { name: string; id: string; at: string; undo: string; unfinished: string | null };

export const doneAs = (
  { name, id }: Pick<Repository, 'name' | 'id'>,
  at: Date,
  unfinished?: string,
): Done => ({
  name,
  id,
  at: at.toISOString(),
  undo: `fossilrepo restore ${name} --undo`,
  unfinished: unfinished ?? null,
});

/** Says what became of a restore: of `before`, which a killed one did, of those that were prepared, and of those put in place. */
export function report(
  { out }: Pick<Forge, 'out'>,
  before: readonly Done[],
  restored: Attempts<{ row: Pick<Repository, 'name'> }, Done>,
  prepared: Attempts<Repository, unknown>,
): void {
  const failed = [
    ...failures(prepared),
    ...restored.failed.map(({ item, error }) => ({ name: item.row.name, error: messageOf(error) })),
  ];
  const done = [...before, ...restored.done.map(({ value }) => value)];
  const unfinished = done.flatMap(({ name, unfinished: what }) =>
    what === null ? [] : [`What comes after that failed for ${name}: ${what}`],
  );
  out.result(
    { restored: done, failed },
    [
      ...failed.map(({ name, error }) => `${name} was not restored: ${error}`),
      ...done.map(
        ({ name, undo }) => `${name} is restored. It is kept for seven days what was there before: ${undo}`,
      ),
      ...unfinished,
    ].join('\n'),
  );
  answerFor(done.length + failed.length, failed.length);
  if (unfinished.length > 0) process.exitCode = exitCodes.partly;
}

import { exitCodes, messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { describeNewer } from '../repos/contents/describe-newer.ts';
import { type Newer, newerThan } from '../repos/contents/receipts.ts';
import type { PreparedRestore } from '../repos/restore/prepare.ts';
import type { Repository } from '../store/repositories.ts';
import { answerFor, type Attempts, failures } from '../system/attempts.ts';
import type { Already } from './restore-already.ts';
import { describeFormer, type Former } from './restore-former.ts';

/** A repository that is as it was at an instant, and what was there before. `unfinished`: what failed after the state was in its place. */
export type Done = Former & {
  name: string;
  id: string;
  at: string;
  unfinished: string | null;
  /** What was pushed after what was shown before the question: it is in what is kept alone. */
  late?: Newer | undefined;
};

export const doneAs = (
  { name, id }: Pick<Repository, 'name' | 'id'>,
  at: Date,
  former: Former,
  unfinished?: string,
): Done => ({ name, id, at: at.toISOString(), ...former, unfinished: unfinished ?? null });

/** What came between the look that was shown and the exchange. @param former where it is kept */
export function cameLate({ present }: Pick<PreparedRestore, 'present'>, { kept }: Former): Newer | undefined {
  if (present.is !== 'whole' || kept === null) return undefined;
  try {
    const newer = newerThan(kept, present.receipt);
    return newer.receipts.length === 0 ? undefined : newer;
  } catch {
    // The state is in its place, which nothing that can't be read of the former one makes untrue.
    return undefined;
  }
}

/** One that is left as it is, for an answer: the state of which instant it has, and since when. */
export const leftAs = ({ row: { name, id }, at, since }: Already) => ({
  name,
  id,
  at: at.toISOString(),
  since: since.toISOString(),
});

/** Says what became of a restore: of those that are left as they are, of those that were prepared, and of those put in place. @param asked what was asked for, as options, and the option that takes it back */
export function report(
  { out }: Pick<Forge, 'out'>,
  already: readonly Already[],
  restored: Attempts<{ row: Pick<Repository, 'name'> }, Done>,
  prepared: Attempts<Repository, unknown>,
  asked: { words: string; back: string },
): void {
  const failed = [
    ...failures(prepared),
    ...restored.failed.map(({ item, error }) => ({ name: item.row.name, error: messageOf(error) })),
  ];
  const done = restored.done.map(({ value }) => value);
  const late = done.flatMap(({ name, late: newer }) =>
    newer === undefined
      ? []
      : [
          `Pushed to ${name} after what was shown, and gone with it; no client is kept from bringing it back:`,
          describeNewer(newer).replaceAll(/^/gm, '  '),
        ],
  );
  const unfinished = done.flatMap(({ name, unfinished: what }) =>
    what === null ? [] : [`What comes after that failed for ${name}: ${what}`],
  );
  out.result(
    { restored: done, already: already.map(leftAs), failed },
    [
      ...already.map(({ text }) => text),
      ...failed.map(({ name, error }) => `${name} was not restored: ${error}`),
      ...done.map((one) => `${one.name} is restored. ${describeFormer(one)}`),
      ...wayBack(done, asked.back),
      ...late,
      ...unfinished,
      // Done once more, the others would be kept for --undo as they are now.
      ...(failed.length > 0 && done.length > 0
        ? [
            `For the others alone: fossilrepo restore ${failed.map(({ name }) => name).join(' ')} ${asked.words}`,
          ]
        : []),
    ].join('\n'),
  );
  answerFor(already.length + done.length + failed.length, failed.length);
  if (unfinished.length > 0) process.exitCode = exitCodes.partly;
}

/** Of several, one command for all of them. */
function wayBack(done: readonly Done[], option: string): string[] {
  const back = done.filter(({ undo }) => undo !== null);
  return back.length < 2
    ? []
    : [`To take all of it back: fossilrepo restore ${back.map(({ name }) => name).join(' ')} ${option}`];
}

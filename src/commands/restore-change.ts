import { describeDifference } from '../repos/contents/describe-difference.ts';
import { describeNewer } from '../repos/contents/describe-newer.ts';
import type { PreparedRestore } from '../repos/restore/prepare.ts';
import type { PreparedUndo } from '../repos/restore/undo.ts';

type Prepared = PreparedRestore | PreparedUndo;

/** What a person has to know before saying yes. */
export function describeChange(prepared: Prepared, { shun }: { shun: boolean }): string {
  const lines =
    prepared.present.is === 'whole' ? againstWhole(prepared, prepared.present) : againstNone(prepared, shun);
  return [`${prepared.row.name}:`, ...lines.map((line) => line.replaceAll(/^/gm, '  '))].join('\n');
}

function againstWhole(
  prepared: Prepared,
  { difference }: Extract<Prepared['present'], { is: 'whole' }>,
): string[] {
  const { lost, gainedShunned } = difference.artifacts;
  const lines = [
    describeDifference(difference),
    'Members, roles, visibility and what is shunned stay as they are today.',
  ];
  if (gainedShunned.length > 0)
    lines.push(
      `${gainedShunned.length} artifacts that are shunned come back into the file: fossilrepo repo maintain ${prepared.row.name} removes them again.`,
    );
  if ('newer' in prepared) lines.push(...describeSince(prepared));
  else if (lost > 0)
    lines.push(
      'Whoever has what is lost in a clone brings it back with the next sync, unless --shun forbids it.',
    );
  return lines;
}

function describeSince({ kind, newer }: PreparedUndo): string[] {
  if (newer === undefined || newer.artifacts + newer.receipts.length === 0) return [];
  const since = kind === 'undo' ? 'the restore' : 'it was taken back';
  return [`Pushed since ${since}, and gone with it:`, describeNewer(newer).replaceAll(/^/gm, '  ')];
}

/** Where there is no state to compare with. */
function againstNone({ present }: Prepared, shun: boolean): string[] {
  const [what, shunned] =
    present.is === 'damaged'
      ? [
          [
            `Its file can't be read: ${present.why}`,
            "So it can't be told what would be lost. That file is kept for seven days, as it is, and nothing is taken over from it.",
          ],
          "what was shunned since can't be read",
        ]
      : [['It has no file now; all of it comes back.'], 'what was shunned since is gone with the file'];
  return [
    ...what,
    `Members, roles and visibility are those of today; what is shunned is what was then: ${shunned}.`,
    ...(shun ? ["--shun can't do anything: it isn't known what is lost."] : []),
  ];
}

import { withForge } from '../forge.ts';
import type { DescribedPart } from '../mirror/describe-parts.ts';
import { type DescribedMirror, describeMirror } from '../mirror/describe.ts';
import type { GlobalOptions } from '../server.ts';
import { mirrorParts, type PartName } from '../store/mirror-parts.ts';
import { mirrorsOf, servedMirrors } from '../store/mirrors.ts';
import { findRepositoryById, getRepository } from '../store/repositories.ts';
import { ago, untilThen } from '../system/instant.ts';
import { table } from '../system/table.ts';

/** `fossilrepo mirror list [REPO]`: how each mirror stands. */
export async function mirrorList(options: GlobalOptions, name: string | undefined): Promise<void> {
  await withForge(options, (forge) => {
    const { store, out } = forge;
    const mirrors =
      name === undefined ? servedMirrors(store) : mirrorsOf(store, getRepository(store, name).id);
    const now = Date.now();
    const described = mirrors.flatMap((mirror) => {
      const row = findRepositoryById(store, mirror.repository);
      return row ? [describeMirror(forge, row, mirror, now)] : [];
    });
    const rows = described.map((one) => [
      one.repository,
      one.name,
      stateOf(one),
      one.lastSuccess === null ? 'never' : ago(one.lastSuccess, now),
      howFar(one),
      untilNext(one, now),
      one.url,
    ]);
    const errors = described.flatMap(errorLines);
    const head = ['REPOSITORY', 'MIRROR', 'STATE', 'LAST SUCCESS', 'BEHIND', 'NEXT TRY', 'URL'];
    const text =
      rows.length === 0
        ? 'no mirrors yet: fossilrepo mirror add REPOSITORY URL'
        : [table(head, rows), ...(errors.length > 0 ? ['', ...errors] : [])].join('\n');
    out.result({ mirrors: described }, text);
    return Promise.resolve();
  });
}

/** Why a mirror, or its tickets or wiki, could not be brought up to date. */
const errorLines = (one: DescribedMirror): string[] => [
  ...(one.error === null ? [] : [`${one.repository} to ${one.name}: ${one.error}`]),
  ...failingParts(one).map(
    ([part, { error }]) => `${one.repository} to ${one.name}, ${part}: ${error ?? ''}`,
  ),
];

const failingParts = (one: DescribedMirror): [PartName, DescribedPart][] =>
  mirrorParts.flatMap((part): [PartName, DescribedPart][] => {
    const found = one[part];
    return found === null || found.error === null ? [] : [[part, found]];
  });

/** One word, of the code and all that belongs to it. */
function stateOf(one: DescribedMirror): string {
  if (one.ok === false || failingParts(one).length > 0) return 'failing';
  if (one.ok === null) return 'new';
  return one.behind === 0 && one.refsBehind === 0 ? 'current' : 'behind';
}

/** Check-ins; where there are none, the branches and tags that differ all the same. */
function howFar({ behind, refsBehind }: Pick<DescribedMirror, 'behind' | 'refsBehind'>): string {
  if (behind === null || refsBehind === null) return '?';
  if (behind > 0 || refsBehind === 0) return String(behind);
  return refsBehind === 1 ? '1 ref' : `${refsBehind} refs`;
}

/** The daily comparison of one that is well needs no telling. */
function untilNext(one: DescribedMirror, now: number): string {
  const waiting = [
    ...(one.ok === true ? [] : [one.nextTry]),
    ...failingParts(one).map(([, { nextTry }]) => nextTry),
  ];
  if (waiting.length === 0) return '-';
  const times = waiting.flatMap((at) => (at === null ? [] : [Date.parse(at)]));
  if (times.length === 0) return 'when mended';
  return untilThen(Math.min(...times), now);
}

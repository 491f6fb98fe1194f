import prettyMilliseconds from 'pretty-ms';
import { withForge } from '../forge.ts';
import { type DescribedMirror, describeMirror } from '../mirror/describe.ts';
import type { GlobalOptions } from '../server.ts';
import { mirrorsOf, servedMirrors } from '../store/mirrors.ts';
import { findRepositoryById, getRepository } from '../store/repositories.ts';
import { ago } from '../system/instant.ts';
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
    const errors = described.flatMap(({ repository, name, error }) =>
      error === null ? [] : [`${repository} to ${name}: ${error}`],
    );
    const head = ['REPOSITORY', 'MIRROR', 'STATE', 'LAST SUCCESS', 'BEHIND', 'NEXT TRY', 'URL'];
    const text =
      rows.length === 0
        ? 'no mirrors yet: fossilrepo mirror add REPOSITORY URL'
        : [table(head, rows), ...(errors.length > 0 ? ['', ...errors] : [])].join('\n');
    out.result({ mirrors: described }, text);
    return Promise.resolve();
  });
}

type Standing = Pick<DescribedMirror, 'ok' | 'behind' | 'refsBehind'>;

/** One word. */
const stateOf = ({ ok, behind, refsBehind }: Standing): string =>
  ok === null ? 'new' : !ok ? 'failing' : behind === 0 && refsBehind === 0 ? 'current' : 'behind';

/** Check-ins; where there are none, the branches and tags that differ all the same. */
function howFar({ behind, refsBehind }: Standing): string {
  if (behind === null || refsBehind === null) return '?';
  if (behind > 0 || refsBehind === 0) return String(behind);
  return refsBehind === 1 ? '1 ref' : `${refsBehind} refs`;
}

/** The daily comparison of one that is well needs no telling. */
function untilNext({ ok, nextTry }: DescribedMirror, now: number): string {
  if (ok === true) return '-';
  if (nextTry === null) return 'when mended';
  const left = Date.parse(nextTry) - now;
  return left <= 0 ? 'now' : `in ${prettyMilliseconds(left, { compact: true })}`;
}

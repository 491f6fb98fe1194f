import { OperatorError } from '../errors.ts';
import type { PushedRef } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { MovedRef } from '../store/sync-runs.ts';
import type { MirrorCache } from './export/cache.ts';
import { type MirrorRef, wantedRefs } from './export/refs.ts';
import type { Divergence } from './remote/plan-push.ts';

/** A ref that a mirror shall have. */
export type WantedRef = MirrorRef & { git: string };

/** All refs that a mirror shall have, as its repository is now. @throws OperatorError when the Git side lacks a commit for one */
export const wantedOf = (
  mirror: Pick<Mirror, 'main' | 'branches'>,
  cache: Pick<MirrorCache, 'commits' | 'facts'>,
): WantedRef[] =>
  wantedRefs(cache.facts, { main: mirror.main, branches: mirror.branches ?? undefined }).map((wanted) => {
    const git = cache.commits.get(wanted.fossil);
    if (git === undefined)
      throw new OperatorError(`${wanted.ref} leads to ${wanted.fossil}, which Git lacks.`);
    return { ...wanted, git };
  });

/** What has to move from what was last pushed to what is wanted. */
export function movedRefs(
  wanted: readonly Pick<WantedRef, 'ref' | 'git'>[],
  last: readonly Pick<PushedRef, 'ref' | 'git'>[],
): MovedRef[] {
  const former = new Map(last.map(({ ref, git }) => [ref, git]));
  const names = new Set(wanted.map(({ ref }) => ref));
  return [
    ...wanted.flatMap(({ ref, git }) => {
      const from = former.get(ref) ?? null;
      return from === git ? [] : [{ ref, from, to: git }];
    }),
    ...last.filter(({ ref }) => !names.has(ref)).map(({ ref, git }) => ({ ref, from: git, to: null })),
  ];
}

/** What a push has moved at a remote. What is as it was before others changed it has moved, too. */
export function movedThere(
  now: readonly Pick<PushedRef, 'ref' | 'git'>[],
  last: readonly Pick<PushedRef, 'ref' | 'git'>[],
  overwritten: readonly Pick<Divergence, 'ref' | 'there' | 'wanted'>[],
): MovedRef[] {
  const moved = movedRefs(now, last);
  const known = new Set(moved.map(({ ref }) => ref));
  const back = overwritten.filter(({ ref }) => !known.has(ref));
  return [...moved, ...back.map(({ ref, there, wanted }) => ({ ref, from: there, to: wanted ?? null }))];
}

/** One line: `3 branches, 12 tags`. */
export function countRefs(refs: readonly { ref: string }[]): string {
  const tags = refs.filter(({ ref }) => ref.startsWith('refs/tags/')).length;
  const branches = refs.length - tags;
  const many = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`;
  return [
    ...(branches > 0 || tags === 0 ? [many(branches, 'branch', 'branches')] : []),
    ...(tags > 0 ? [many(tags, 'tag', 'tags')] : []),
  ].join(', ');
}

/** How many refs that differ are named. */
const named = 5;

/** One line of the refs that a remote has otherwise than it should; null: there are none. */
export function sayDiffering(
  refs: readonly Pick<WantedRef, 'ref' | 'git'>[],
  there: ReadonlyMap<string, string>,
): string | null {
  if (refs.length === 0) return null;
  const says = refs
    .slice(0, named)
    .map(({ ref, git }) => `${ref} is ${there.get(ref) ?? 'missing'} there, not ${git}`);
  return says.join('; ') + (refs.length > named ? ` and ${refs.length - named} more` : '');
}

/** Whether what a verification found is only what `sayDiffering` says: no sentence of `compare/compare.ts` begins with a ref. */
export const isAboutRefs = (verifyError: string): boolean => verifyError.startsWith('refs/');

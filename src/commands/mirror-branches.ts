import { join } from 'node:path';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { refFactsOf } from '../mirror/behind.ts';
import { countRefs } from '../mirror/difference.ts';
import type { RefFacts } from '../mirror/export/facts.ts';
import { unmatched, wantedRefs } from '../mirror/export/refs.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { agreed } from './questions.ts';

/** How many branches that there are, and refs that go, are named. */
const named = { branches: 5, refs: 20 } as const;

/**
 * Says what a mirror's patterns mean no longer or not at all, before they are kept: what they don't mean is deleted at the remote.
 * @param former the mirror as it is; undefined: there is none yet
 * @returns the refs that the next sync takes away, which somebody has agreed to
 * @throws OperatorError (usage) for a pattern that means no branch, or when nobody agrees
 */
export async function approvedBranches(
  forge: Pick<Forge, 'store' | 'paths' | 'out'>,
  row: Pick<Repository, 'name' | 'file'>,
  mirror: Mirror,
  former: Mirror | undefined,
  flags: { branches?: string; yes: boolean; dryRun: boolean },
): Promise<string[]> {
  if (flags.branches === undefined) return [];
  const facts = refFactsOf(join(forge.paths.data, row.file));
  checkPatterns(forge, row, mirror, facts);
  const gone = former ? leftOut(forge, facts, former, mirror) : [];
  if (gone.length === 0) return gone;
  forge.out.warn(`The next sync takes ${countRefs(gone.map((ref) => ({ ref })))} away from ${mirror.url}:`);
  for (const ref of gone.slice(0, named.refs)) forge.out.say(`  ${ref}`);
  if (gone.length > named.refs) forge.out.say(`  and ${gone.length - named.refs} more`);
  if (!flags.yes && !flags.dryRun)
    await agreed(
      `Leave these out of ${mirror.name}? Open requests to merge them may be closed there.`,
      false,
    );
  return gone;
}

/**
 * Of a repository that has no more than the check-in it was made with nobody knows what its branches will be, and `release-*` beside another
 * pattern may be meant for branches to come: that is only told.
 */
function checkPatterns(
  { out }: Pick<Forge, 'out'>,
  { name }: Pick<Repository, 'name'>,
  { main, branches }: Pick<Mirror, 'main' | 'branches'>,
  facts: RefFacts,
): void {
  const none = branches === null ? [] : unmatched(facts, branches);
  if (none.length === 0) return;
  const message = `${none.join(', ')} ${none.length === 1 ? 'matches' : 'match'} no branch of ${name}`;
  const toCome = none.every((pattern) => pattern.includes('*')) && meansSome(facts, { main, branches });
  if (facts.parents.size <= 1 || toCome) {
    out.warn(`${message} yet. ${fossils(facts, main)}`);
    return;
  }
  const all = facts.branches.map((branch) => branch.name);
  const more = all.length > named.branches ? ` and ${all.length - named.branches} more` : '';
  throw new OperatorError(`${message}.`, {
    next: `${fossils(facts, main)} ${name} has ${all.slice(0, named.branches).join(', ')}${more}.`,
    exit: 'usage',
  });
}

const meansSome = (facts: RefFacts, { main, branches }: Pick<Mirror, 'main' | 'branches'>): boolean =>
  wantedRefs(facts, { main, branches: branches ?? undefined }).length > 0;

const fossils = (facts: RefFacts, main: string): string =>
  `Patterns are Fossil's names: ${facts.main === main ? '' : `${facts.main} for what is called ${main} there; `}* is anything.`;

/** What is there now and only other branches take away: what is gone from Fossil goes anyway. */
function leftOut({ store }: Pick<Forge, 'store'>, facts: RefFacts, former: Mirror, mirror: Mirror): string[] {
  const [before, after] = [former, mirror].map(
    ({ main, branches }) =>
      new Set(wantedRefs(facts, { main, branches: branches ?? undefined }).map(({ ref }) => ref)),
  );
  return pushedRefs(store, mirror.id).flatMap(({ ref }) =>
    before?.has(ref) && !after?.has(ref) ? [ref] : [],
  );
}

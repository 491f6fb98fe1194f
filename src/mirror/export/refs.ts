import type { Leaf, RefFacts } from './facts.ts';
import { refNames } from './ref-names.ts';

/** A ref that a mirror has. */
export type MirrorRef = {
  /** `refs/heads/main` */
  ref: string;
  /** The check-in that it names, by Fossil's hash. */
  fossil: string;
  /** `fork`: another line of a branch that goes on in several. */
  kind: 'branch' | 'tag' | 'fork';
  /** The branch or tag in Fossil. */
  name: string;
  /** Git, or a file system that is blind to case, can't hold the name, or not beside another one: it has a replacement. */
  renamed: boolean;
};

/**
 * Which refs a mirror has.
 * @param naming.main what Fossil's main branch is called in Git
 * @param naming.branches which branches, as a list of patterns with commas between them and `*` for anything (Fossil's names); undefined: all.
 *   Tags come along where the branches lead to their check-ins.
 */
export function wantedRefs(
  facts: RefFacts,
  naming: { main: string; branches: string | undefined },
): MirrorRef[] {
  const wanted = matching(naming.branches);
  const branches = mainFirst(facts).filter(({ name }) => wanted(name));
  const take = refNames();
  const tips = branches.map(({ name, leaves: [first] }) => {
    const called = name === facts.main ? naming.main : name;
    return { ...named(take(called), 'refs/heads', 'branch', name), fossil: first.hash };
  });
  const forks = branches.flatMap(({ name, leaves: [, ...others] }, index) =>
    others.map((leaf) => {
      const plain = tips[index]?.ref.slice('refs/heads/'.length) ?? name;
      const taken = take(forkName(plain, leaf));
      return { ...named(taken, 'refs/heads', 'fork', name), fossil: leaf.hash };
    }),
  );
  const takeTag = refNames();
  const led = naming.branches === undefined ? undefined : ancestors(facts, [...tips, ...forks]);
  const tags = facts.tags
    .filter(({ hash }) => led === undefined || led.has(hash))
    .map(({ name, hash }) => ({ ...named(takeTag(name), 'refs/tags', 'tag', name), fossil: hash }));
  return [...tips, ...forks, ...tags];
}

/** The main branch's name is never given to another one. */
const mainFirst = ({ main, branches }: RefFacts): RefFacts['branches'] =>
  branches.toSorted((one, other) => Number(other.name === main) - Number(one.name === main));

const forkName = (branch: string, { hash }: Leaf): string => `${branch}-fork-${hash.slice(0, 10)}`;

const named = (
  taken: { name: string; renamed: boolean },
  under: string,
  kind: MirrorRef['kind'],
  name: string,
): Omit<MirrorRef, 'fossil'> => ({ ref: `${under}/${taken.name}`, kind, name, renamed: taken.renamed });

/** The patterns of a list that mean no branch. */
export const unmatched = ({ branches }: Pick<RefFacts, 'branches'>, patterns: string): string[] =>
  listed(patterns).filter((pattern) => !branches.some(({ name }) => expressionOf(pattern).test(name)));

/** Whether a branch is meant by a list of patterns. */
function matching(patterns: string | undefined): (name: string) => boolean {
  if (patterns === undefined) return () => true;
  const expressions = listed(patterns).map(expressionOf);
  return (name) => expressions.some((expression) => expression.test(name));
}

const listed = (patterns: string): string[] =>
  patterns
    .split(',')
    .map((pattern) => pattern.trim())
    .filter(Boolean);

const expressionOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`, 's');

/** Everything that some check-ins come from, themselves included. */
function ancestors({ parents }: RefFacts, from: readonly { fossil: string }[]): Set<string> {
  const found = new Set<string>();
  const left = from.map(({ fossil }) => fossil);
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    left.push(...(parents.get(next) ?? []));
  }
  return found;
}

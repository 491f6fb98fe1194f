import type { Aside } from './aside.ts';
import type { Tip } from './assign.ts';
import { trunk } from './names.ts';
import { controlText, type TagCard } from './write-artifact.ts';
import type { HistoryWish, Written } from './write-history.ts';

/** Who sets what nobody is named for in Git. */
const user = 'fossilrepo';

/**
 * The main branch may have moved on to a commit that came before, on another branch, or be another one: from there on that is the trunk.
 * What follows on the other branch stays there.
 * @returns the commits whose branch is another one now
 */
export function settleTrunk(aside: Aside, wish: HistoryWish, main: (Tip & { ref: string }) | undefined) {
  const settled = new Map<string, string>();
  const { hosted, marks, last, refs, at } = wish;
  const checkin = main && marks.get(main.commit);
  if (!main || !hosted || checkin === undefined) return settled;
  if (last.get(main.ref) === refs.get(main.ref) && !wish.otherMain) return settled;
  const former = hosted.branch(checkin);
  if (former === trunk) return settled;
  const onto = (on: string, to: string, from: string | undefined): TagCard[] => [
    { sign: '*', name: 'branch', on, value: to },
    { sign: '*', name: `sym-${to}`, on },
    ...(from === undefined ? [] : [{ sign: '-', name: `sym-${from}`, on } as const]),
  ];
  const followers = former === undefined ? [] : hosted.followers(checkin);
  const now = Math.floor(at / 1000);
  aside.add(controlText(now, onto(checkin, trunk, former), user));
  // Later by a second: of two tags of one time Fossil believes the first, which would be the trunk's (tag.c).
  const back = followers.flatMap((follower) => onto(follower, former ?? trunk, trunk));
  if (back.length > 0) aside.add(controlText(now + 1, back, user));
  return settled.set(main.commit, trunk);
}

/**
 * Sets the tags that are new or were moved; a tag that is gone from the remote stays.
 * @param commitOf the commit that a ref's value leads to @returns how many
 */
export function writeTags(
  aside: Aside,
  wish: HistoryWish,
  tags: readonly (Tip & { ref: string })[],
  written: Pick<Written, 'fossil' | 'dates'>,
  commitOf: (hash: string) => string,
): number {
  const fossilOf = (commit: string) => written.fossil.get(commit) ?? wish.marks.get(commit);
  let count = 0;
  for (const { ref, name, commit } of tags) {
    const before = wish.last.get(ref);
    const on = fossilOf(commit);
    if (before === wish.refs.get(ref) || on === undefined) continue;
    const former = before === undefined ? undefined : fossilOf(commitOf(before));
    if (former === on) continue;
    const made = written.dates.get(commit);
    const cards: TagCard[] = [
      { sign: '+', name: `sym-${name}`, on },
      ...(former === undefined ? [] : [{ sign: '-', name: `sym-${name}`, on: former } as const]),
    ];
    const date = former === undefined && made ? made : { at: Math.floor(wish.at / 1000), user };
    aside.add(controlText(date.at, cards, date.user));
    count += 1;
  }
  return count;
}

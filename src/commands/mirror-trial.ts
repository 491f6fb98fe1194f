import { countRefs } from '../mirror/difference.ts';
import type { Trial } from '../mirror/try.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import type { Output } from '../system/output.ts';

/** Commits that are named for one ref. */
const named = 5;

/** Says what a push would do. */
export function tellTrial(
  out: Output,
  row: Pick<Repository, 'name'>,
  mirror: Pick<Mirror, 'url' | 'onDivergence'>,
  { refs, commits, diverged, renamed }: Trial,
): void {
  const [gone, moved] = [refs.filter(({ to }) => to === null), refs.filter(({ to }) => to !== null)];
  out.say(
    refs.length === 0
      ? `${mirror.url} has all of ${row.name} already.`
      : `To ${mirror.url}: ${countRefs(moved)}, ${commits === 1 ? '1 commit' : `${commits} commits`}${gone.length > 0 ? `; ${countRefs(gone)} would go` : ''}.`,
  );
  for (const { kind, name, ref } of renamed)
    out.say(`  ${kind} ${name} is called ${ref.replace(/^refs\/(heads|tags)\//, '')} there`);
  for (const one of diverged) {
    const what = one.overwrite
      ? 'is overwritten'
      : mirror.onDivergence === 'keep'
        ? 'stays'
        : 'is not from here';
    out.warn(`${one.ref} ${what}: ${one.unread ?? ''}`);
    for (const { hash, author, date, subject } of one.commits.slice(0, named))
      out.say(`    ${hash.slice(0, 10)} ${date.slice(0, 10)} ${author}: ${subject}`);
    if (one.more || one.commits.length > named) out.say('    and more');
  }
}

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { administratorLogin } from '../../access/administrator.ts';
import type { Forge } from '../../forge.ts';
import { fossilMakeEmpty, fossilRebuild } from '../../programs/fossil.ts';
import { openRepository } from '../../repos/open.ts';
import { scratch } from '../../repos/scratch.ts';
import { fillAside } from './aside.ts';
import { UpstreamError } from './error.ts';
import { type History, type HistoryWish, writeHistory } from './write-history.ts';

/**
 * Makes a Fossil repository of what is new in a Git one: nobody sees it, and it is thrown away when anything goes wrong.
 * @param made.file where there is nothing yet
 * @param made.projectCode of the repository that it is for; undefined for a new one
 * @throws OperatorError when not all of it could be taken
 */
export async function importGit(
  forge: Pick<Forge, 'run' | 'config' | 'paths'>,
  made: { file: string; projectCode: string | undefined },
  wish: HistoryWish,
): Promise<History> {
  const { fossil } = forge.config.programs;
  using work = scratch(forge.paths);
  const home = work.path;
  await forge.run(fossilMakeEmpty(fossil, { file: made.file, adminUser: administratorLogin, home }));
  const history = await fillAside(made.file, made.projectCode, (aside) =>
    writeHistory(forge.run, aside, work.path, wish),
  );
  // A rebuild makes tags of its own where the trunk isn't in the file: what is only a part of a project is looked at in a copy.
  const looked = made.projectCode === undefined ? made.file : join(home, 'looked.fossil');
  if (looked !== made.file) copyFileSync(made.file, looked);
  const rebuild = fossilRebuild(fossil, { file: looked, home });
  // It notes that check-ins are missing which only the hosted repository has, and wants to know for whom.
  const env = { ...rebuild.env, FOSSIL_USER: administratorLogin };
  await forge.run({ ...rebuild, env, group: true, signal: wish.signal });
  refuseUnread(looked, history.marks);
  return history;
}

/** Fossil says nothing about a check-in that it can't read: it is just no check-in. */
function refuseUnread(file: string, marks: ReadonlyMap<string, string>): void {
  using database = openRepository(file, { readOnly: true });
  const isThere = database.prepare(
    "SELECT 1 FROM event JOIN blob ON rid = objid WHERE type = 'ci' AND uuid = ?",
  );
  const unread = [...marks].filter(([, hash]) => isThere.get(hash) === undefined);
  const [first] = unread;
  if (first === undefined) return;
  throw new UpstreamError(
    'incomplete',
    `Fossil can't hold ${unread.length} of ${marks.size} commits, ${first[0]} for one, and nothing was taken.`,
    { next: 'Look for names of files in it that are no plain paths.' },
  );
}

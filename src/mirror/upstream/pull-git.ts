import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Forge } from '../../forge.ts';
import { gitBeyond, gitTypes } from '../../programs/git.ts';
import { readRepository } from '../../repos/file.ts';
import { cameBy } from '../../repos/restore/fit.ts';
import { scratch } from '../../repos/scratch.ts';
import {
  findGitImport,
  importedRefs,
  type ImportedRefs,
  importMarks,
  intendImport,
  type IntendedImport,
  recordImport,
} from '../../store/git-imports.ts';
import type { Repository } from '../../store/repositories.ts';
import type { Upstream } from '../../store/upstreams.ts';
import { listRemote, withRemote } from '../remote/remote.ts';
import type { Came, PullOptions } from './came.ts';
import { nothing } from './came.ts';
import { remoteOf } from './credential.ts';
import { deliver } from './deliver.ts';
import { afterRewrite, UpstreamError } from './error.ts';
import { fetchRefs, mainBranch } from './fetch.ts';
import { type Hosted, openHosted } from './hosted.ts';
import { importGit } from './import-git.ts';
import type { History } from './write-history.ts';
import { makeUpstreamFolder, upstreamGit } from './place.ts';

/**
 * Takes what is new in a Git upstream. Killed at any moment it goes on the next time where it was: what was about to be delivered is written
 * down before, and made again just so. The caller holds the repository's `pull` lock.
 * @throws OperatorError; then the repository and what is known of it are as before
 */
export async function pullGit(
  forge: Forge,
  row: Repository,
  upstream: Upstream,
  options: PullOptions,
): Promise<Came> {
  const { paths } = forge;
  const state = stateOf(forge, row);
  const folder = upstreamGit(paths, row.id);
  const main = state.intended?.main ?? state.main;
  const there = await withRemote(
    forge,
    remoteOf(forge, upstream),
    async (git) => {
      const refs = await listRemote(git);
      // Without its trunk's branch it is not done, though nothing is new.
      if (isSame(refs, state.last) && !state.intended && (refs.has(head(main)) || !options.acceptRewrite))
        return undefined;
      if (![...refs.keys()].some((ref) => ref.startsWith(heads)) && state.last.size > 0)
        throw new UpstreamError('rewritten', `${upstream.url} has no branch any more; nothing was changed.`, {
          next: 'Ask its owners.',
        });
      makeUpstreamFolder(paths, row.id);
      const fetched = await fetchRefs(git, folder);
      return { refs: fetched, main: fetched.has(head(main)) ? main : await mainBranch(git, fetched) };
    },
    { signal: options.signal },
  );
  if (!there) return nothing;
  const finished = state.intended ? await step(forge, row, folder, state.intended, options) : nothing;
  const now = stateOf(forge, row);
  if (isSame(there.refs, now.last) && (there.main === now.main || !options.acceptRewrite)) return finished;
  if (!options.acceptRewrite) await refuseRewritten(forge, row, folder, now, { ...there, url: upstream.url });
  const came = await step(forge, row, folder, { at: Date.now(), ...there }, options);
  return {
    checkins: finished.checkins + came.checkins,
    tags: finished.tags + came.tags,
    artifacts: finished.artifacts + came.artifacts,
    notes: [...finished.notes, ...came.notes],
  };
}

type State = {
  main: string;
  marks: ReadonlyMap<string, string>;
  last: ImportedRefs;
  intended: IntendedImport | undefined;
};

/** What is known of an import. @throws UpstreamError (marks) when it doesn't fit what is in the repository */
function stateOf({ store, paths }: Forge, row: Repository): State {
  const known = findGitImport(store, row.id);
  const marks = importMarks(store, row.id);
  const wrong = (what: string, next: string) =>
    new UpstreamError('marks', `${row.name}: ${what}; nothing was changed.`, { next });
  if (!known || marks.size !== known.commits)
    throw wrong(
      known
        ? `${known.commits} commits were imported, and the check-ins of ${marks.size} are known`
        : 'it is not known which commits its check-ins are',
      'A second import would make every check-in twice. Restore the management database, or make another repository from the remote.',
    );
  using hosted = openHosted(join(paths.data, row.file));
  const gone = hosted.missing(marks.values());
  if (gone.length > 0 && hosted.shunned(gone))
    throw wrong(
      `${gone.length} check-ins that came from its upstream were shunned, ${gone[0] ?? ''} for one`,
      `What goes on from them can't come any more. fossilrepo upstream remove ${row.name} ends following; or take them out of Fossil's list of what is shunned and push them from a clone that has them.`,
    );
  if (gone.length > 0)
    throw wrong(
      `${gone.length} check-ins that came from its upstream are no longer in it, ${gone[0] ?? ''} for one`,
      'A restore to an earlier moment does that: take it back with restore --undo, or push the check-ins from a clone that has them.',
    );
  return { main: known.main, marks, last: importedRefs(store, row.id), intended: known.intended };
}

/** One import: aside, then written down, then delivered, then recorded. */
async function step(
  forge: Forge,
  row: Repository,
  folder: string,
  intended: IntendedImport,
  { signal, progress }: PullOptions,
): Promise<Came> {
  const { store, paths } = forge;
  const file = join(paths.data, row.file);
  // First: what is restored from here on is another one than what was looked at.
  const restore = cameBy(file);
  const { main: former, marks, last } = stateOf(forge, row);
  const main = intended.main ?? former;
  using work = scratch(paths);
  const aside = join(work.path, `${randomUUID()}.fossil`);
  // Open no longer than that: a restore has everybody wait until nobody has it open.
  const history = await withHosted(file, (hosted) =>
    importGit(
      forge,
      { file: aside, projectCode: readRepository(file).projectCode },
      { ...{ folder, marks, last, hosted, signal, progress }, ...intended, main, otherMain: main !== former },
    ),
  );
  intendImport(store, row.id, intended);
  await deliver(forge, row.id, { from: aside, restore }, signal);
  recordImport(store, row.id, { main, marks: history.marks, refs: intended.refs });
  return {
    checkins: history.marks.size,
    tags: history.tags,
    artifacts: 0,
    notes: [
      ...(main === former ? [] : [`another main branch (${main}; it was ${former})`]),
      ...notesOn(history),
    ],
  };
}

async function withHosted<T>(file: string, work: (hosted: Hosted) => Promise<T>): Promise<T> {
  using hosted = openHosted(file);
  return await work(hosted);
}

/** So many names are told. */
const told = 5;
const few = (names: readonly string[]): string =>
  names.slice(0, told).join(', ') + (names.length > told ? ` and ${names.length - told} more` : '');

/** What of Git has no place in Fossil. */
export const notesOn = ({
  submodules,
  altered,
  unseen,
}: Pick<History, 'submodules' | 'altered' | 'unseen'>): string[] => [
  ...(unseen.length > 0
    ? [`branches that have no commit of their own are not seen in Fossil: ${few(unseen)}`]
    : []),
  ...(submodules > 0 ? [`submodules are left out: ${submodules} times a commit names one`] : []),
  ...(altered > 0 ? [`${altered} files look like Fossil's own artifacts and got a line more`] : []),
];

const heads = 'refs/heads/';
const head = (branch: string): string => `${heads}${branch}`;

const isSame = (one: ImportedRefs, other: ImportedRefs): boolean =>
  one.size === other.size && [...one].every(([ref, hash]) => other.get(ref) === hash);

/** @throws UpstreamError (rewritten) naming each branch that no longer leads to what was taken from it */
async function refuseRewritten(
  { run }: Forge,
  { name }: Pick<Repository, 'name'>,
  folder: string,
  { last, main }: State,
  { refs, main: other, url }: { refs: ImportedRefs; main: string; url: string },
): Promise<void> {
  const moved = [...last].filter(
    ([ref, hash]) => ref.startsWith(heads) && refs.has(ref) && refs.get(ref) !== hash,
  );
  const rewritten: string[] = refs.has(head(main))
    ? []
    : [`${main}, which is the trunk here, is gone (the main branch is ${other} now)`];
  for (const [ref, was] of moved) {
    const is = refs.get(ref) ?? '';
    const { stdout: types } = await run(gitTypes(folder, [was]));
    const lost = types.endsWith(' commit')
      ? (await run(gitBeyond(folder, [was], [is]))).stdout.split('\n').filter(Boolean).length
      : undefined;
    if (lost === 0) continue;
    const count = lost === undefined ? '' : ` (${lost} commits are no longer part of it)`;
    rewritten.push(`${ref.slice(heads.length)} from ${was.slice(0, 10)} to ${is.slice(0, 10)}${count}`);
  }
  if (rewritten.length === 0) return;
  throw new UpstreamError(
    'rewritten',
    `The history at ${url} was rewritten, and nothing was taken: ${rewritten.slice(0, 10).join('; ')}.`,
    { next: afterRewrite(name) },
  );
}

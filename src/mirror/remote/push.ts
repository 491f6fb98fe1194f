import { gitPointHead, gitPush, gitReadHead, pushLength, type RefUpdate } from '../../programs/git.ts';
import { type PushFlag, readBytes, readPush, readRemoteText, reasonOf } from '../../programs/git-output.ts';
import { explain, RemoteError } from './error.ts';
import {
  describeDivergence,
  type Divergence,
  planPush,
  type PushPlan,
  type PushRequest,
} from './plan-push.ts';
import { listRemote, type RemoteGit } from './remote.ts';
import { clearStaleLocks } from './stale-locks.ts';
import { batches, type Refs } from './standing.ts';

/** What became of one ref. `diverged`: left alone. `rejected`: the remote refused it. `not tried`: the push broke off. */
export type RefOutcome = Exclude<PushFlag, 'rejected'> | 'diverged' | 'rejected' | 'not tried';

export type RefResult = {
  ref: string;
  outcome: RefOutcome;
  /** What the remote had, and what was wanted there; undefined is nothing. */
  there: string | undefined;
  wanted: string | undefined;
  /** `rejected`: git's reason, and what the remote wrote for people. */
  why: string | undefined;
  said: readonly string[];
};

/** What a push did. */
export type PushResult = {
  /** Everything is there as it is wanted; with `keep`, but for what diverged. */
  ok: boolean;
  /** Each ref that is wanted or was pushed before, in order. */
  refs: readonly RefResult[];
  diverged: readonly Divergence[];
  /** Those of `diverged` in whose place ours is now. */
  overwritten: readonly Divergence[];
  /** What is to be written down as last pushed: seen on the remote. */
  last: Refs;
  /** Bytes of objects that went over. */
  bytes: number;
  /** Milliseconds. */
  duration: number;
  /** Why it is not ok, in plain words. */
  error: RemoteError | undefined;
};

/** Brings a remote to what is wanted: looks, then pushes what follows. @throws RemoteError when it could not even look */
export async function pushRefs(git: RemoteGit, request: PushRequest): Promise<PushResult> {
  return await applyPush(git, request, await planPush(git, request));
}

/**
 * Pushes what a plan says, each ref only if the remote still has what was seen. A refused one doesn't stop the others. At the end the remote
 * is listed again: what it has is believed, not what git said.
 */
export async function applyPush(
  git: RemoteGit,
  request: Pick<PushRequest, 'folder' | 'last' | 'main'>,
  plan: PushPlan,
): Promise<PushResult> {
  const begun = performance.now();
  const done = new Map<string, Pushed>();
  const sent = { bytes: 0, retries: mostRetries };
  let broke: RemoteError | undefined;
  const push = async (updates: readonly RefUpdate[]): Promise<void> => {
    for (const batch of batches(updates, { first: plan.first, length: pushLength }))
      for (const [ref, pushed] of await pushBatch(git, request.folder, batch, sent)) done.set(ref, pushed);
  };
  try {
    await push(plan.updates);
    const rejected = ({ ref }: { ref: string }) => done.get(ref)?.outcome === 'rejected';
    const said = [...done.values()].flatMap((one) => one.said ?? []);
    if (clearStaleLocks(git.address, said)) await push(plan.updates.filter(rejected));
    const kept = plan.updates.filter((update) => update.to === undefined && rejected(update));
    const { main } = request;
    if (main !== undefined && !rejected({ ref: main }) && (await pointHead(git, main, kept)))
      await push(kept);
    if (plan.updates.length > 0) believe(await listRemote(git), plan, done);
    if (plan.first !== undefined && done.get(plan.first)?.outcome === 'created')
      await pointHead(git, plan.first);
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    broke = error;
  }
  const left = new Set(plan.diverged.filter(({ overwrite }) => !overwrite).map(({ ref }) => ref));
  const refs = plan.standings.map(({ ref, there, wanted, state }): RefResult => {
    const pushed = done.get(ref) ?? {
      outcome: left.has(ref) ? 'diverged' : state === 'same' ? 'same' : 'not tried',
    };
    return { ref, there, wanted, why: undefined, said: [], ...pushed };
  });
  const error = broke ?? complaint(git, refs, plan);
  return {
    ok: error === undefined,
    ...{
      refs,
      diverged: plan.diverged,
      overwritten: overwrittenOf(refs, plan),
      last: lastOf(refs, request.last),
      bytes: sent.bytes,
      error,
    },
    duration: performance.now() - begun,
  };
}

function overwrittenOf(refs: readonly RefResult[], { diverged }: PushPlan): Divergence[] {
  const moved = new Set(refs.filter(({ outcome }) => !leftAlone.has(outcome)).map(({ ref }) => ref));
  return diverged.filter(({ ref, overwrite }) => overwrite && moved.has(ref));
}

/** What became of refs that are still what they were there. */
const leftAlone: ReadonlySet<RefOutcome> = new Set<RefOutcome>(['diverged', 'rejected', 'not tried']);

type Pushed = { outcome: RefOutcome; why?: string; said?: readonly string[] };

/** A remote that refuses everything is not asked more often than this. */
const mostRetries = 60;

/** What refuses a whole push for one of its refs. Others refuse each ref by itself. */
const refusesAll = /^(pre-receive hook declined|unpacker error|push declined.*)$/;

async function pushBatch(
  git: RemoteGit,
  folder: string,
  batch: readonly RefUpdate[],
  sent: { bytes: number; retries: number },
): Promise<ReadonlyMap<string, Pushed>> {
  const { stdout, stderr } = await git.run(gitPush(folder, git.address.url, batch), 'move');
  sent.bytes += readBytes(stderr);
  const lines = new Map(readPush(stdout).map((line) => [line.ref, line]));
  // Git ends with 1 also when the connection broke before the remote reported.
  if (batch.some(({ ref }) => !lines.has(ref))) throw explain(git.address, stderr, 'answered');
  const said = readRemoteText(stderr);
  const pushed = new Map(
    batch.map(({ ref }): [string, Pushed] => {
      const line = lines.get(ref);
      if (line?.flag !== 'rejected') return [ref, { outcome: line?.flag ?? 'not tried' }];
      return [ref, { outcome: 'rejected', why: inWords(git.hide(reasonOf(line.summary))), said }];
    }),
  );
  const declined = [...lines.values()].every(
    ({ flag, summary }) => flag === 'rejected' && refusesAll.test(reasonOf(summary)),
  );
  if (!declined || batch.length < 2 || sent.retries < 2) return pushed;
  // By halves: one ref among thousands is found in a few pushes, and the text that comes with it is about it.
  sent.retries -= 2;
  const middle = Math.ceil(batch.length / 2);
  const halves = [batch.slice(0, middle), batch.slice(middle)];
  const results = new Map<string, Pushed>();
  for (const half of halves)
    for (const [ref, result] of await pushBatch(git, folder, half, sent)) results.set(ref, result);
  return results;
}

const inWords = (reason: string): string =>
  reason === 'stale info' ? 'it was changed there meanwhile' : reason;

/** What the remote has is what was pushed, whatever it, or a connection that broke at the end, said. */
function believe(there: Refs, plan: PushPlan, done: Map<string, Pushed>): void {
  for (const { ref, to, expected } of plan.updates) {
    const has = there.get(ref);
    const rejected = done.get(ref)?.outcome === 'rejected';
    if (!rejected && has !== to)
      done.set(ref, {
        outcome: 'rejected',
        why: `the remote said that it took it, and has ${has ?? 'nothing'}`,
      });
    if (rejected && has === to)
      done.set(ref, {
        outcome: to === undefined ? 'deleted' : expected === undefined ? 'created' : 'updated',
      });
  }
}

/**
 * A folder's HEAD names a branch that it may not have, and then a clone of it checks nothing out; the branch that it names can't be deleted.
 * Hosts settle theirs themselves.
 * @param from it is pointed elsewhere only when it names one of these @returns whether it was
 */
async function pointHead(git: RemoteGit, main: string, from?: readonly RefUpdate[]): Promise<boolean> {
  const { address } = git;
  if (address.protocol !== 'file') return false;
  const head = await git.local({ ...gitReadHead(address.path), accept: [1, 128] });
  const named = head.stdout.trim();
  if (head.code !== 0 || named === main || (from && !from.some(({ ref }) => ref === named))) return false;
  await git.local(gitPointHead(address.path, main));
  return true;
}

function lastOf(refs: readonly RefResult[], last: Refs): Refs {
  return new Map(
    refs.flatMap(({ ref, outcome, wanted }) => {
      const value = leftAlone.has(outcome) ? last.get(ref) : wanted;
      return value === undefined ? [] : [[ref, value] as const];
    }),
  );
}

function complaint(git: RemoteGit, refs: readonly RefResult[], plan: PushPlan): RemoteError | undefined {
  const { url } = git.address;
  const diverged = divergence(git, plan);
  const rejected = refs.filter(({ outcome }) => outcome === 'rejected');
  if (rejected.length === 0) return diverged;
  const named = rejected
    .slice(0, 5)
    .map(({ ref, why, said }) => `${ref} (${[why, ...said.slice(0, 3)].join('; ')})`);
  const refused = `${url} refused ${counted(rejected.length)}: ${listed(named, rejected.length)}.`;
  const next = /default branch|current branch/.test(named.join(' '))
    ? 'Make another branch the default one there: then it is deleted by itself.'
    : 'Look at its branch protection and its hooks.';
  return new RemoteError('rejected', diverged ? `${refused} ${diverged.message}` : refused, {
    next: `${next} ${diverged?.next ?? 'All other refs are there.'}`,
    said: [...new Set(rejected.flatMap(({ said }) => said))],
  });
}

function divergence(git: RemoteGit, plan: PushPlan): RemoteError | undefined {
  if (plan.policy !== 'refuse' || plan.diverged.length === 0) return undefined;
  const named = plan.diverged.slice(0, 5).map(describeDivergence);
  return new RemoteError(
    'diverged',
    `${git.address.url} has what was not pushed from here in ${counted(plan.diverged.length)}: ${listed(named, plan.diverged.length)}.`,
    { next: 'Bring these commits into Fossil, or let the mirror overwrite or keep them.' },
  );
}

const counted = (count: number): string => (count === 1 ? 'one ref' : `${count} refs`);
const listed = (named: readonly string[], all: number): string =>
  named.join(', ') + (all > named.length ? ` and ${all - named.length} more` : '');

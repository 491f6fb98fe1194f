import { isBusy, messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { nextPull } from '../../plan/upstream.ts';
import { addEvent } from '../../store/events.ts';
import { findRepositoryById, type Repository } from '../../store/repositories.ts';
import { transaction } from '../../store/store.ts';
import { wentWell, wentWrong } from '../../store/tries.ts';
import { findUpstream, type Upstream, updateUpstream } from '../../store/upstreams.ts';
import { withLock } from '../../system/locks.ts';
import { causeOf, isStopped } from '../deadline.ts';
import { RemoteError } from '../remote/error.ts';
import { type Came, describeCame, nothing, type PullOptions } from './came.ts';
import { archived } from './deliver.ts';
import { UpstreamError } from './error.ts';
import { pullFossil } from './pull-fossil.ts';
import { pullGit } from './pull-git.ts';

/** What became of one pull. */
export type PullResult = {
  /** The repository's name. */
  repository: string;
  url: string;
  ok: boolean;
  came: Came;
  error: string | null;
  errorKind: string | null;
  next: string | null;
  /** Whether another fossilrepo is at work on it. */
  busy: boolean;
};

/**
 * Takes what is new in a repository's upstream. Never throws for one that can't be followed: that is remembered, and tried again. What another
 * process is at work on, and what was stopped, counts as nothing.
 * @param row the repository; it must have an upstream
 */
export async function pullUpstream(
  forge: Forge,
  row: Pick<Repository, 'id' | 'name'>,
  options: PullOptions = {},
): Promise<PullResult> {
  const before = findUpstream(forge.store, row.id);
  const base = {
    ...{ repository: row.name, url: before?.url ?? '', came: nothing, error: null, errorKind: null },
    ...{ next: null, busy: false },
  };
  try {
    options.signal?.throwIfAborted();
    const came = await withLock(forge.paths, `pull-${row.id}`, 0, () => locked(forge, row.id, options));
    return { ...base, ok: true, came };
  } catch (error) {
    const next = error instanceof OperatorError ? (error.next ?? null) : null;
    return {
      ...base,
      ok: false,
      error: messageOf(error),
      errorKind: kindOf(error),
      next,
      busy: isBusy(error),
    };
  }
}

async function locked(forge: Forge, id: string, options: PullOptions): Promise<Came> {
  const { store } = forge;
  const row = findRepositoryById(store, id);
  const upstream = findUpstream(store, id);
  if (row?.state !== 'active' || !upstream) throw new OperatorError('It follows no upstream any more.');
  const begunAt = Date.now();
  try {
    if (row.archived) throw archived(row.name);
    const pull = upstream.kind === 'git' ? pullGit : pullFossil;
    const came = await pull(forge, row, upstream, options);
    succeeded(forge, row, upstream, came, begunAt);
    return came;
  } catch (thrown) {
    const error = causeOf(thrown, options.signal);
    if (!isBusy(error) && !isStopped(options.signal)) failed(forge, row, upstream, error, begunAt);
    throw error;
  }
}

type Kept = Pick<Forge, 'store'>;

function succeeded({ store }: Kept, row: Repository, upstream: Upstream, came: Came, at: number): void {
  const what = describeCame(came);
  transaction(store, () => {
    updateUpstream(store, upstream.id, {
      ...wentWell(at),
      ...(what !== '' && { cameAt: at, came: what }),
    });
    if (what !== '')
      addEvent(store, {
        kind: 'upstream',
        repository: row.id,
        text: `${row.name} got ${what} from its upstream`,
      });
    else if (upstream.error !== null)
      addEvent(store, {
        kind: 'upstream',
        repository: row.id,
        text: `${row.name} follows its upstream again`,
      });
  });
}

function failed({ store }: Kept, row: Repository, upstream: Upstream, error: unknown, at: number): void {
  const what = messageOf(error);
  const kind = kindOf(error);
  const next = (errorKind: string, failures: number) => nextPull(errorKind, failures, Date.now());
  transaction(store, () => {
    updateUpstream(store, upstream.id, wentWrong(upstream, at, { error: what, errorKind: kind }, next));
    // Once, when it changes.
    if (upstream.errorKind === kind) return;
    const text = `${row.name} does not follow its upstream: ${what}`;
    addEvent(store, { kind: 'upstream', repository: row.id, text });
  });
}

const kindOf = (error: unknown): string =>
  error instanceof RemoteError || error instanceof UpstreamError ? error.kind : 'import';

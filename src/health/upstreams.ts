import type { Forge } from '../forge.ts';
import { afterRewrite } from '../mirror/upstream/error.ts';
import { findRepositoryById } from '../store/repositories.ts';
import { servedUpstreams, type Upstream } from '../store/upstreams.ts';
import { levelOf } from './failing.ts';
import type { Finding } from './finding.ts';

/** How one upstream stands. */
export type UpstreamSeen = Pick<
  Upstream,
  'url' | 'error' | 'errorKind' | 'failingSince' | 'nextTryAt' | 'everyMs' | 'triedAt' | 'createdAt'
> & {
  /** The repository's name. */
  repository: string;
};

/** What the management database says: nobody is asked. */
export const upstreamsSeen = ({ store }: Pick<Forge, 'store'>): UpstreamSeen[] =>
  servedUpstreams(store).flatMap((upstream) => {
    const row = findRepositoryById(store, upstream.repository);
    return row ? [{ ...upstream, repository: row.name }] : [];
  });

/** A run takes two hours at most, and the next one begins within minutes. Milliseconds. */
const overdue = 3 * 3_600_000;
/** How many are named. */
const named = 5;

/** Those that nobody looked at, long after it was time. */
export function overdueFindings(seen: readonly UpstreamSeen[], now: number): Finding[] {
  const late = seen.filter(
    ({ error, triedAt, createdAt, everyMs }) =>
      error === null && now - (triedAt ?? createdAt) > everyMs + overdue,
  );
  if (late.length === 0) return [];
  const more = late.length > named ? ` and ${late.length - named} more` : '';
  const names = late.slice(0, named).map(({ repository }) => repository);
  return [
    {
      level: 'yellow',
      about: 'upstreams',
      what: `Nobody looks for what is new in upstreams: ${names.join(', ')}${more}`,
      next: 'Read why with: fossilrepo logs sync. By hand: fossilrepo sync',
    },
  ];
}

/** What can't be followed: red after a day. */
export const upstreamFindings = (seen: readonly UpstreamSeen[], now: number): Finding[] =>
  seen.flatMap(({ repository, url, error, errorKind, failingSince, nextTryAt }): Finding[] =>
    error === null
      ? []
      : [
          {
            level: levelOf({ failingSince }, now),
            about: repository,
            what: `${repository} does not follow ${url}: ${error}`,
            next:
              errorKind === 'rewritten'
                ? afterRewrite(repository)
                : nextTryAt === null
                  ? `It is not tried again by itself. Mend it there, or set it anew: fossilrepo upstream set ${repository} URL`
                  : `It is tried again by itself; fossilrepo upstream show ${repository} says when. At once: fossilrepo sync ${repository}`,
          },
        ],
  );

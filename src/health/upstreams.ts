import type { Forge } from '../forge.ts';
import { findRepositoryById } from '../store/repositories.ts';
import { servedUpstreams, type Upstream } from '../store/upstreams.ts';
import { levelOf } from './failing.ts';
import type { Finding } from './finding.ts';

/** How one upstream stands. */
export type UpstreamSeen = Pick<Upstream, 'url' | 'error' | 'failingSince' | 'nextTryAt'> & {
  /** The repository's name. */
  repository: string;
};

/** What the management database says: nobody is asked. */
export const upstreamsSeen = ({ store }: Pick<Forge, 'store'>): UpstreamSeen[] =>
  servedUpstreams(store).flatMap(({ repository, url, error, failingSince, nextTryAt }) => {
    const row = findRepositoryById(store, repository);
    return row ? [{ repository: row.name, url, error, failingSince, nextTryAt }] : [];
  });

/** What can't be followed: red after a day. */
export const upstreamFindings = (seen: readonly UpstreamSeen[], now: number): Finding[] =>
  seen.flatMap(({ repository, url, error, failingSince, nextTryAt }): Finding[] =>
    error === null
      ? []
      : [
          {
            level: levelOf({ failingSince }, now),
            about: repository,
            what: `${repository} does not follow ${url}: ${error}`,
            next:
              nextTryAt === null
                ? `It is not tried again by itself. Mend it there, or set it anew: fossilrepo upstream set ${repository} URL`
                : `It is tried again by itself; fossilrepo upstream show ${repository} says when. At once: fossilrepo sync ${repository}`,
          },
        ],
  );

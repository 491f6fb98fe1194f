import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';
import type { IssueCounts, LoggedRun } from '../store/sync-runs.ts';

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** `2 issues made, 1 comment made`; empty: nothing. */
export const describeIssues = ({ issuesMade, issuesChanged, commentsMade }: IssueCounts): string =>
  [
    ...(issuesMade > 0 ? [`${counted(issuesMade, 'issue')} made`] : []),
    ...(issuesChanged > 0 ? [`${counted(issuesChanged, 'issue')} changed`] : []),
    ...(commentsMade > 0 ? [`${counted(commentsMade, 'comment')} made`] : []),
  ].join(', ');

/** What a run did, how long it took, and why it failed: one line. */
export function describeRun(run: LoggedRun): string {
  const { part, pushed, commits, bytes, tookMs, error } = run;
  const pushes = `${counted(pushed, 'ref')}, ${counted(commits, 'commit')}, ${prettyBytes(bytes ?? 0)}`;
  const did = part === 'tickets' ? describeIssues(run) || 'nothing' : pushes;
  const failed = error === null ? '' : `: ${error.replaceAll(/\s+/g, ' ')}`;
  return `${did} in ${prettyMilliseconds(tookMs)}${failed}`;
}

/** How many of a run's refs are named. */
const named = 3;

/** `main, refs/tags/v1 and 12 more`; empty: none was moved. */
export function describeRefs({ refs, pushed }: Pick<LoggedRun, 'refs' | 'pushed'>): string {
  const names = refs
    .slice(0, named)
    .map(({ ref, to }) => `${ref.replace(/^refs\/heads\//, '')}${to === null ? ' (deleted)' : ''}`);
  const more = pushed - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

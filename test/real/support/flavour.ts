import type { Answer, Asked, Kept, KeptIssue, KeptProject } from './issue-host.ts';

/** When everything happened. */
export const when = '2026-11-21T12:00:00Z';

/** An object of what was sent. */
export const said = (body: unknown): Record<string, unknown> => (body ?? {}) as Record<string, unknown>;
export const words = (value: unknown): string => (typeof value === 'string' ? value : '');

export const newProject = (open: boolean): KeptProject => ({ issues: [], labels: [], others: [], open });

/** A project's next issue. */
export function newIssue(project: KeptProject, title: string, body: string, labels: string[]): KeptIssue {
  const issue = { number: project.issues.length + 1, title, body, open: true, labels, comments: [] };
  project.issues.push(issue);
  return issue;
}

/** The issues that a list shows, the oldest first. @param state as GitHub and Gitea name it */
export const listed = ({ issues }: KeptProject, state: string): KeptIssue[] =>
  issues.filter(({ gone, open }) => !gone && (state === 'all' || open === (state === 'open')));

/** Lists an issue's comments, or adds one. @param show the n-th */
export function commentsOn(issue: KeptIssue, { key, body }: Asked, show: (n: number) => unknown): Answer {
  if (!key.startsWith('POST')) return { status: 200, body: issue.comments.map((_, n) => show(n)) };
  issue.comments.push(words(said(body)['body']));
  return { status: 201, body: show(issue.comments.length - 1) };
}

/** Whether a repository of that name can't be made: it is there, or there and hidden from this token. */
export const isTaken = ({ projects, hidden }: Kept, path: string): boolean =>
  projects.has(path) || hidden.has(path);

/** Where in a list a page is. */
export type Page = { number: number; last: number; size: number; total: number };

/** `Link` to other pages. @param rels those that the host names, in its order */
export function linkHeader(url: URL, { number, last }: Page, rels: readonly string[]): string[] {
  const pages: Readonly<Record<string, number>> = { prev: number - 1, next: number + 1, first: 1, last };
  return rels.flatMap((rel) => {
    const page = pages[rel] ?? 0;
    if (page < 1 || page > last) return [];
    const other = new URL(url);
    other.searchParams.set('page', String(page));
    return `<${other.href}>; rel="${rel}"`;
  });
}

/** Repositories and users, which GitHub and Gitea show alike. @param taken what is said when one can't be made @param forbidden in an organization that is another's */
export function repositoryAnswer(
  kept: Kept,
  { key, at, body }: Asked,
  { taken, missing, forbidden }: { taken: Answer; missing: Answer; forbidden: Answer },
): Answer | undefined {
  if (/^GET (\/api\/v1)?\/user$/.test(key)) return { status: 200, body: { login: kept.login } };
  const make = (owner: string): Answer => {
    const path = `${owner}/${words(said(body)['name'])}`;
    if (isTaken(kept, path)) return taken;
    kept.projects.set(path, newProject(said(body)['private'] === false));
    return { status: 201, body: { full_name: path } };
  };
  if (key.endsWith('/user/repos')) return make(kept.login);
  if (key.endsWith('/orgs/{org}/repos'))
    return kept.groups.has(at['org'] ?? '') ? make(at['org'] ?? '') : forbidden;
  if (!key.endsWith('/repos/{owner}/{repo}')) return undefined;
  const path = `${at['owner']}/${at['repo']}`;
  return kept.projects.has(path) ? { status: 200, body: { full_name: path } } : missing;
}

import {
  commentsOn,
  isTaken,
  linkHeader,
  listed,
  newIssue,
  newProject,
  said,
  when,
  words,
} from './flavour.ts';
import type { Answer, Flavour, Kept, KeptIssue } from './issue-host.ts';

const refusal = (status: number, message: unknown): Answer => ({ status, body: { message } });
const author = { id: 1, username: 'me', name: 'Me', state: 'active', web_url: 'x' };

const shown = ({ number, title, body, open, labels }: KeptIssue) => ({
  ...{ id: 900 + number, iid: number, project_id: 1, title, description: body === '' ? null : body },
  ...{ state: open ? 'opened' : 'closed', labels, author, type: 'ISSUE', issue_type: 'issue' },
  ...{ created_at: when, updated_at: when, closed_at: open ? null : when, web_url: 'x' },
});

const note = (issue: KeptIssue, n: number) => ({
  ...{ id: issue.number * 1_000 + n, type: null, body: issue.comments[n], author, created_at: when },
  ...{ updated_at: when, system: false, noteable_id: 900 + issue.number, noteable_type: 'Issue' },
  ...{ noteable_iid: issue.number, project_id: 1 },
});

/** GitLab carries out lines that begin with a slash: whoever sends one has not been careful. */
const commands = /^\/\w+/m;

/** Where projects can be made: below whoever owns the token, and in groups. */
const namespaces = ({ login, groups }: Kept) =>
  [login, ...groups].map((whole, n) => {
    const path = whole.split('/').at(-1) ?? '';
    return { id: 7 + n, name: path, path, kind: n === 0 ? 'user' : 'group', full_path: whole };
  });

/** Its description says that a token ends at an instant, its documentation shows a day. */
const expiry = ({ expires, expiresAs }: Kept): string | null =>
  expires === undefined ? null : expires.toISOString().slice(0, expiresAs === 'day' ? 10 : undefined);

function newProjectAnswer(kept: Kept, body: unknown): Answer {
  const { name, path = name, namespace_id: within, visibility } = said(body);
  const above = namespaces(kept).find(({ id }) => id === (within ?? 7));
  if (!above) return refusal(400, { namespace: ['is not valid'] });
  const whole = `${above.full_path}/${words(path)}`;
  const taken = ['has already been taken'];
  if (isTaken(kept, whole))
    return refusal(400, { 'project_namespace.name': taken, name: taken, path: taken });
  kept.projects.set(whole, newProject(visibility === 'public'));
  return { status: 201, body: { id: 1, path_with_namespace: whole } };
}

const rateHeaders = (remaining: number, seconds: number): Record<string, string> => ({
  'ratelimit-limit': '60',
  'ratelimit-name': 'throttle_authenticated_api',
  'ratelimit-observed': String(60 - remaining),
  'ratelimit-remaining': String(remaining),
  'ratelimit-reset': String(Math.ceil(Date.now() / 1_000) + seconds),
});

export const gitlab: Flavour = {
  isAuthorized: (headers, token) =>
    headers['private-token'] === token || headers.authorization === `Bearer ${token}`,
  unauthorized: refusal(401, '401 Unauthorized'),
  invalid: (error) => ({ status: 400, body: { error } }),
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('per_page') ?? 20) }),
  longest: 100,
  pageHeaders: (url, page) => ({
    link: linkHeader(url, page, ['prev', 'next', 'first', 'last']).join(', '),
    'x-next-page': page.number < page.last ? String(page.number + 1) : '',
    'x-page': String(page.number),
    'x-per-page': String(page.size),
    'x-prev-page': page.number > 1 ? String(page.number - 1) : '',
    'x-total': String(page.total),
    'x-total-pages': String(page.last),
  }),
  headers: () => rateHeaders(59, 60),
  limited: (seconds) => ({
    status: 429,
    body: 'Retry later\n',
    headers: { 'content-type': 'text/plain', ...rateHeaders(0, seconds), 'retry-after': String(seconds) },
  }),
  answer: (kept, asked) => {
    const { key, at, query, body } = asked;
    const { title, description, labels, state_event: event } = said(body);
    if (commands.test(words(description)) || commands.test(words(said(body)['body'])))
      return refusal(400, 'a command was sent');
    if (key === 'GET /api/v4/personal_access_tokens/self') {
      const token = { id: 1, name: 'x', revoked: false, created_at: when, scopes: ['api'], user_id: 1 };
      return { status: 200, body: { ...token, active: true, expires_at: expiry(kept) } };
    }
    if (key === 'GET /api/v4/namespaces/{id}') {
      const found = namespaces(kept).find((one) => one.full_path === at['id']);
      return found ? { status: 200, body: found } : refusal(404, '404 Namespace Not Found');
    }
    if (key === 'POST /api/v4/projects') return newProjectAnswer(kept, body);
    const project = kept.projects.get(at['id'] ?? '');
    if (!project) return refusal(404, '404 Project Not Found');
    if (key === 'GET /api/v4/projects/{id}')
      return { status: 200, body: { id: 1, path_with_namespace: at['id'] } };
    // One text with commas, or a list of them.
    const names =
      labels === undefined
        ? undefined
        : [labels].flat().flatMap((one) => words(one).split(',').filter(Boolean));
    if (key.endsWith('/issues')) {
      if (key.startsWith('POST'))
        return { status: 201, body: shown(newIssue(project, words(title), words(description), names ?? [])) };
      const all = listed(project, (query.get('state') ?? 'all').replace('opened', 'open')).map(shown);
      return { status: 200, body: query.get('sort') === 'asc' ? all : all.reverse() };
    }
    const issue = project.issues.find(({ number, gone }) => number === Number(at['issue_iid']) && !gone);
    if (!issue) return refusal(404, '404 Not found');
    if (key.endsWith('/notes')) {
      const answer = commentsOn(issue, asked, (n) => note(issue, n));
      const newestFirst = Array.isArray(answer.body) && query.get('sort') !== 'asc';
      return newestFirst ? { ...answer, body: [...(answer.body as unknown[])].reverse() } : answer;
    }
    if (key.startsWith('PUT')) {
      if (title !== undefined) issue.title = words(title);
      if (description !== undefined) issue.body = words(description);
      if (event !== undefined) issue.open = event === 'reopen';
      if (names) issue.labels = names;
    }
    return { status: 200, body: shown(issue) };
  },
};

import type { Answer, Asked, Flavour, Kept, KeptIssue, KeptProject } from './issue-host.ts';

const missing: Answer = { status: 404, body: { message: 'Not Found' } };
const when = '2026-11-21T12:00:00Z';

/** What all have in common. @param project undefined: there is none @param change what a write says */
type Verbs = {
  list: (project: KeptProject) => unknown[];
  show: (issue: KeptIssue) => unknown;
  comment: (issue: KeptIssue, n: number) => unknown;
};

const said = (body: unknown): Record<string, unknown> => (body ?? {}) as Record<string, unknown>;
const words = (value: unknown): string => (typeof value === 'string' ? value : '');

function newIssue(project: KeptProject, title: string, body: string, labels: string[]): KeptIssue {
  const issue = { number: project.issues.length + 1, title, body, open: true, labels, comments: [] };
  project.issues.push(issue);
  return issue;
}

function commentsOn(issue: KeptIssue, { key, body }: Asked, { comment }: Verbs): Answer {
  if (!key.startsWith('POST')) return { status: 200, body: issue.comments.map((_, n) => comment(issue, n)) };
  issue.comments.push(words(said(body)['body']));
  return { status: 201, body: comment(issue, issue.comments.length - 1) };
}

/** `Link`, as GitHub and Gitea write it. */
function linkHeader(url: URL, number: number, last: number): Record<string, string> {
  if (number >= last) return {};
  const next = new URL(url);
  next.searchParams.set('page', String(number + 1));
  return { link: `<${next.href}>; rel="next"` };
}

// GitHub

const githubUser = (login: string) => {
  const names =
    'node_id avatar_url gravatar_id url html_url followers_url following_url gists_url starred_url subscriptions_url ' +
    'organizations_url repos_url events_url received_events_url type';
  const texts = Object.fromEntries(names.split(' ').map((name) => [name, `x-${name}`]));
  return { ...texts, login, id: 1, site_admin: false };
};

const githubVerbs: Verbs = {
  list: ({ issues }) => issues.map(githubIssue),
  show: githubIssue,
  comment: (issue, n) => ({
    ...{ id: issue.number * 1_000 + n, node_id: 'x', body: issue.comments[n], user: githubUser('me') },
    ...{ url: 'x', html_url: 'x', issue_url: 'x', created_at: when, updated_at: when },
    author_association: 'OWNER',
  }),
};

function githubIssue({ number, title, body, open, labels, comments }: KeptIssue) {
  const urls = 'url repository_url labels_url comments_url events_url html_url'.split(' ');
  return {
    ...Object.fromEntries(urls.map((name) => [name, `x-${name}`])),
    ...{ id: number, node_id: 'x', number, title, body, state: open ? 'open' : 'closed' },
    ...{ labels: labels.map((name) => ({ name })), assignee: null, milestone: null, locked: false },
    ...{ comments: comments.length, closed_at: open ? null : when, created_at: when, updated_at: when },
    ...{ user: githubUser('me'), author_association: 'OWNER' },
    // As GitHub lists pull requests among its issues.
    ...(title === 'A pull request' && { pull_request: { url: 'x' } }),
  };
}

const github: Flavour = {
  isAuthorized: ({ authorization }, token) => authorization === `token ${token}`,
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('per_page') ?? 30) }),
  pageHeaders: linkHeader,
  limited: (seconds) => ({
    status: 403,
    body: { message: 'API rate limit exceeded for user ID 1.' },
    headers: {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(Math.ceil(Date.now() / 1_000) + seconds),
    },
  }),
  answer: (kept, asked) => {
    const { key, at, body } = asked;
    const expiry = kept.expires?.toISOString().replace('T', ' ').replace(/\..*/, ' UTC');
    const headers = expiry === undefined ? {} : { 'github-authentication-token-expiration': expiry };
    if (key === 'GET /rate_limit') return { status: 200, body: {}, headers };
    const about = repositoryAnswer(kept, asked);
    if (about) return about;
    const project = kept.projects.get(`${at['owner']}/${at['repo']}`);
    if (!project) return missing;
    const { title, labels, state, body: text } = said(body);
    const names = Array.isArray(labels) ? labels.map(words) : undefined;
    if (key.endsWith('/issues')) {
      if (key.startsWith('GET')) return { status: 200, body: githubVerbs.list(project), headers };
      return {
        status: 201,
        body: githubIssue(newIssue(project, words(title), words(text), names ?? [])),
        headers,
      };
    }
    const issue = project.issues.find(({ number }) => number === Number(at['issue_number']));
    if (!issue) return missing;
    if (key.endsWith('/comments')) return commentsOn(issue, asked, githubVerbs);
    if (key.startsWith('PATCH')) {
      if (title !== undefined) issue.title = words(title);
      if (text !== undefined) issue.body = words(text);
      if (state !== undefined) issue.open = state === 'open';
      if (names) issue.labels = names;
    }
    return { status: 200, body: githubIssue(issue) };
  },
};

/** Repositories and users, which GitHub and Gitea show alike. */
function repositoryAnswer(kept: Kept, { key, at, body }: Asked): Answer | undefined {
  if (key === 'GET /user' || key === 'GET /api/v1/user') return { status: 200, body: { login: kept.login } };
  const make = (owner: string): Answer => {
    const path = `${owner}/${words(said(body)['name'])}`;
    kept.projects.set(path, { issues: [], labels: [], open: said(body)['private'] === false });
    return { status: 201, body: { full_name: path } };
  };
  if (key.endsWith('/user/repos')) return make(kept.login);
  if (key.endsWith('/orgs/{org}/repos')) return make(at['org'] ?? '');
  if (!key.endsWith('/repos/{owner}/{repo}')) return undefined;
  const path = `${at['owner']}/${at['repo']}`;
  return kept.projects.has(path) ? { status: 200, body: { full_name: path } } : missing;
}

// GitLab

const gitlabUser = { id: 1, username: 'me', name: 'Me', state: 'active', web_url: 'x' };

const gitlabIssue = ({ number, title, body, open, labels }: KeptIssue) => ({
  ...{ id: 900 + number, iid: number, project_id: 1, title, description: body },
  ...{ state: open ? 'opened' : 'closed', labels, author: gitlabUser },
  ...{ created_at: when, updated_at: when, web_url: 'x' },
});

const gitlabVerbs: Verbs = {
  list: ({ issues }) => issues.map(gitlabIssue),
  show: gitlabIssue,
  comment: (issue, n) => ({
    ...{ id: issue.number * 1_000 + n, body: issue.comments[n], author: gitlabUser, created_at: when },
    ...{ system: false, noteable_id: issue.number, noteable_type: 'Issue' },
  }),
};

/** GitLab carries out lines that begin with a slash: whoever sends one has not been careful. */
const commands = /^\/\w+/m;

const gitlab: Flavour = {
  isAuthorized: (headers, token) => headers['private-token'] === token,
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('per_page') ?? 20) }),
  pageHeaders: (url, number, last) => ({
    ...linkHeader(url, number, last),
    ...{ 'x-page': String(number), 'x-total-pages': String(last) },
    'x-next-page': number < last ? String(number + 1) : '',
  }),
  limited: (seconds) => ({
    status: 429,
    body: { message: 'Too Many Requests' },
    headers: { 'retry-after': String(seconds), 'ratelimit-remaining': '0' },
  }),
  answer: (kept, asked) => {
    const { key, at, body } = asked;
    const { title, description, labels, state_event: event } = said(body);
    if (commands.test(words(description)) || commands.test(words(said(body)['body'])))
      return { status: 400, body: { message: 'a command was sent' } };
    if (key === 'GET /api/v4/personal_access_tokens/self')
      return {
        status: 200,
        body: {
          ...{
            id: 1,
            name: 'x',
            revoked: false,
            created_at: when,
            scopes: ['api'],
            user_id: 1,
            active: true,
          },
          expires_at: kept.expires?.toISOString().slice(0, 10) ?? null,
        },
      };
    if (key === 'GET /api/v4/namespaces/{id}') return { status: 200, body: { id: 7, full_path: at['id'] } };
    if (key === 'POST /api/v4/projects') {
      const path = `${kept.login}/${words(said(body)['path'])}`;
      kept.projects.set(path, { issues: [], labels: [], open: said(body)['visibility'] === 'public' });
      return { status: 201, body: { id: 1, path_with_namespace: path } };
    }
    const project = kept.projects.get(at['id'] ?? '');
    if (!project) return missing;
    if (key === 'GET /api/v4/projects/{id}') return { status: 200, body: { id: 1 } };
    const names = labels === undefined ? undefined : words(labels).split(',').filter(Boolean);
    if (key.endsWith('/issues')) {
      if (key.startsWith('GET')) return { status: 200, body: gitlabVerbs.list(project) };
      return {
        status: 201,
        body: gitlabIssue(newIssue(project, words(title), words(description), names ?? [])),
      };
    }
    const issue = project.issues.find(({ number }) => number === Number(at['issue_iid']));
    if (!issue) return missing;
    if (key.endsWith('/notes')) return commentsOn(issue, asked, gitlabVerbs);
    if (key.startsWith('PUT')) {
      if (title !== undefined) issue.title = words(title);
      if (description !== undefined) issue.body = words(description);
      if (event !== undefined) issue.open = event === 'reopen';
      if (names) issue.labels = names;
    }
    return { status: 200, body: gitlabIssue(issue) };
  },
};

// Gitea and Forgejo

const giteaIssue = ({ number, title, body, open, labels }: KeptIssue) => ({
  ...{ id: 500 + number, number, title, body, state: open ? 'open' : 'closed' },
  labels: labels.map((name, id) => ({ id, name })),
});

const giteaVerbs: Verbs = {
  // The newest first, as Gitea does unless it is asked.
  list: ({ issues }) => issues.map(giteaIssue).reverse(),
  show: giteaIssue,
  comment: (issue, n) => ({ id: issue.number * 1_000 + n, body: issue.comments[n] }),
};

const gitea: Flavour = {
  unpaged: /\/(comments|issues\/\d+\/labels)$/,
  isAuthorized: ({ authorization }, token) =>
    authorization === `Bearer ${token}` || authorization === `token ${token}`,
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('limit') ?? 30) }),
  pageHeaders: linkHeader,
  limited: (seconds) => ({
    status: 429,
    body: { message: 'Too many requests' },
    headers: { 'retry-after': String(seconds) },
  }),
  answer: (kept, asked) => {
    const { key, at, body } = asked;
    const about = repositoryAnswer(kept, asked);
    if (about) return about;
    const project = kept.projects.get(`${at['owner']}/${at['repo']}`);
    if (!project) return missing;
    const { title, labels, state, name, body: text } = said(body);
    const names = Array.isArray(labels)
      ? labels.map((id) => project.labels[Number(id) - 1]).filter((one) => one !== undefined)
      : undefined;
    if (key.endsWith('/repos/{owner}/{repo}/labels')) {
      const label = (one: string, n: number) => ({ id: n + 1, name: one, color: '8a8f98' });
      if (key.startsWith('GET')) return { status: 200, body: project.labels.map(label) };
      project.labels.push(words(name));
      return { status: 201, body: label(words(name), project.labels.length - 1) };
    }
    if (key.endsWith('/issues')) {
      if (key.startsWith('GET')) return { status: 200, body: giteaVerbs.list(project) };
      return { status: 201, body: giteaIssue(newIssue(project, words(title), words(text), names ?? [])) };
    }
    const issue = project.issues.find(({ number }) => number === Number(at['index']));
    if (!issue) return missing;
    if (key.endsWith('/comments')) return commentsOn(issue, asked, giteaVerbs);
    if (key.endsWith('/labels')) {
      issue.labels = names ?? [];
      return { status: 200, body: issue.labels.map((one, id) => ({ id, name: one })) };
    }
    if (!key.startsWith('PATCH')) return { status: 200, body: giteaIssue(issue) };
    if (title !== undefined) issue.title = words(title);
    if (text !== undefined) issue.body = words(text);
    if (state !== undefined) issue.open = state === 'open';
    return { status: 201, body: giteaIssue(issue) };
  },
};

export const flavours = { github, gitlab, gitea };

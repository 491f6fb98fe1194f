import { commentsOn, linkHeader, listed, newIssue, repositoryAnswer, said, when, words } from './flavour.ts';
import type { Answer, Flavour, Kept, KeptIssue } from './issue-host.ts';

const refusal = (status: number, message: string, more: object = {}): Answer => ({
  status,
  body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status), ...more },
});

const invalid = (message: string, error: object): Answer => refusal(422, message, { errors: [error] });

const user = (login: string) => {
  const names =
    'node_id avatar_url gravatar_id url html_url followers_url following_url gists_url starred_url subscriptions_url ' +
    'organizations_url repos_url events_url received_events_url type';
  const texts = Object.fromEntries(names.split(' ').map((name) => [name, `x-${name}`]));
  return { ...texts, login, id: 1, site_admin: false };
};

function shown({ number, title, body, open, labels, comments }: KeptIssue) {
  const urls = 'url repository_url labels_url comments_url events_url html_url'.split(' ');
  return {
    ...Object.fromEntries(urls.map((name) => [name, `x-${name}`])),
    ...{ id: number, node_id: 'x', number, title, body, state: open ? 'open' : 'closed' },
    ...{ labels: labels.map((name) => ({ name })), assignee: null, milestone: null, locked: false },
    ...{ comments: comments.length, closed_at: open ? null : when, created_at: when, updated_at: when },
    ...{ user: user('me'), author_association: 'OWNER' },
    // As GitHub lists pull requests among its issues.
    ...(title === 'A pull request' && { pull_request: { url: 'x' } }),
  };
}

const comment = (issue: KeptIssue, n: number) => ({
  ...{ id: issue.number * 1_000 + n, node_id: 'x', body: issue.comments[n], user: user('me') },
  ...{ url: 'x', html_url: 'x', issue_url: 'x', created_at: when, updated_at: when },
  author_association: 'OWNER',
});

/** An issue that is no longer here: 410 when it was deleted, 301 when it was moved to another repository. */
const goneAnswer = ({ base }: Kept, { gone }: KeptIssue): Answer => {
  if (gone === 'deleted') return refusal(410, 'This issue was deleted');
  const location = `${base}/repositories/77/issues/1`;
  return { ...refusal(301, 'Moved Permanently', { url: location }), headers: { location } };
};

const rateHeaders = (remaining: number, reset: number): Record<string, string> => ({
  'x-ratelimit-limit': '5000',
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-used': String(5_000 - remaining),
  'x-ratelimit-reset': String(reset),
  'x-ratelimit-resource': 'core',
});

const inSeconds = (seconds: number): number => Math.ceil(Date.now() / 1_000) + seconds;

export const github: Flavour = {
  isAuthorized: ({ authorization }, token) =>
    /^(?:token|Bearer) (.*)$/.exec(authorization ?? '')?.[1] === token,
  unauthorized: refusal(401, 'Bad credentials'),
  invalid: (why) => invalid('Validation Failed', { code: 'custom', message: why }),
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('per_page') ?? 30) }),
  longest: 100,
  pageHeaders: (url, page) => {
    const links = linkHeader(
      url,
      page,
      page.number < page.last ? ['prev', 'next', 'last', 'first'] : ['prev', 'first'],
    );
    return page.last === 1 ? {} : { link: links.join(', ') };
  },
  headers: ({ expires }) => ({
    ...rateHeaders(4_999, inSeconds(3_600)),
    ...(expires && {
      'github-authentication-token-expiration': expires
        .toISOString()
        .replace('T', ' ')
        .replace(/\..*/, ' UTC'),
    }),
  }),
  // Of its two kinds of limits the secondary ones say how long in another way.
  limited: (seconds, left) =>
    left % 2 === 0
      ? {
          ...refusal(403, 'API rate limit exceeded for user ID 1.'),
          headers: rateHeaders(0, inSeconds(seconds)),
        }
      : {
          ...refusal(
            403,
            'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
          ),
          headers: { 'retry-after': String(seconds) },
        },
  answer: (kept, asked) => {
    const { key, at, query, body } = asked;
    const missing = refusal(404, 'Not Found');
    if (key === 'GET /rate_limit') return { status: 200, body: {} };
    const taken = invalid('Repository creation failed.', {
      ...{ resource: 'Repository', code: 'custom', field: 'name' },
      message: 'name already exists on this account',
    });
    const forbidden = refusal(
      403,
      'You need admin access to the organization before adding a repository to it.',
    );
    const about = repositoryAnswer(kept, asked, { taken, missing, forbidden });
    if (about) return about;
    const project = kept.projects.get(`${at['owner']}/${at['repo']}`);
    if (!project) return missing;
    const { title, labels, state, body: text } = said(body);
    const names = Array.isArray(labels) ? labels.map(words) : undefined;
    if (key.endsWith('/issues')) {
      if (key.startsWith('POST'))
        return { status: 201, body: shown(newIssue(project, words(title), words(text), names ?? [])) };
      const all = listed(project, query.get('state') ?? 'open').map(shown);
      return { status: 200, body: query.get('direction') === 'asc' ? all : all.reverse() };
    }
    const issue = project.issues.find(({ number }) => number === Number(at['issue_number']));
    if (!issue) return missing;
    if (issue.gone) return goneAnswer(kept, issue);
    if (key.endsWith('/comments')) return commentsOn(issue, asked, (n) => comment(issue, n));
    if (key.startsWith('PATCH')) {
      if (title !== undefined) issue.title = words(title);
      if (text !== undefined) issue.body = words(text);
      if (state !== undefined) issue.open = state === 'open';
      if (names) issue.labels = names;
    }
    return { status: 200, body: shown(issue) };
  },
};

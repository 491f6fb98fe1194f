import { commentsOn, linkHeader, listed, newIssue, repositoryAnswer, said, words } from './flavour.ts';
import type { Answer, Flavour, KeptIssue, KeptProject } from './issue-host.ts';

const refusal = (status: number, message: string): Answer => ({
  status,
  body: { message, url: 'https://gitea.example.org/api/swagger' },
});

/** A project's own labels begin at 1, those of its organization at 1001. */
const othersFrom = 1_001;

/** A label as it is shown; one that is not the project's own is its organization's. */
function label({ labels, others }: KeptProject, name: string) {
  const own = labels.indexOf(name);
  if (own < 0 && !others.includes(name)) others.push(name);
  return { id: own < 0 ? othersFrom + others.indexOf(name) : own + 1, name, color: '8a8f98' };
}

const labelOf = ({ labels, others }: KeptProject, id: number): string | undefined =>
  id < othersFrom ? labels[id - 1] : others[id - othersFrom];

const shown = (project: KeptProject, { number, title, body, open, labels }: KeptIssue) => ({
  ...{ id: 500 + number, number, title, body, state: open ? 'open' : 'closed' },
  labels: labels.map((name) => label(project, name)),
});

const comment = (issue: KeptIssue, n: number) => ({ id: issue.number * 1_000 + n, body: issue.comments[n] });

/** Gitea, and Forgejo. */
export const gitea: Flavour = {
  unpaged: /\/(comments|issues\/\d+\/labels)$/,
  isAuthorized: ({ authorization }, token) =>
    /^(?:token|Bearer) (.*)$/.exec(authorization ?? '')?.[1] === token,
  unauthorized: refusal(401, 'invalid username, password or token'),
  invalid: (why) => refusal(422, why),
  page: (query) => ({ number: Number(query.get('page') ?? 1), size: Number(query.get('limit') ?? 30) }),
  longest: 50,
  pageHeaders: (url, page) => {
    const links = linkHeader(url, page, [
      ...(page.number < page.last ? ['next', 'last'] : []),
      ...(page.number > 1 ? ['first', 'prev'] : []),
    ]);
    return { ...(links.length > 0 && { link: links.join(',') }), 'x-total-count': String(page.total) };
  },
  headers: () => ({}),
  // A proxy's, since Gitea has no limits itself.
  limited: (seconds) => ({
    status: 429,
    body: 'Too Many Requests\n',
    headers: { 'content-type': 'text/plain', 'retry-after': String(seconds) },
  }),
  answer: (kept, asked) => {
    const { key, at, query, body } = asked;
    const missing = refusal(404, 'not found');
    const taken = refusal(409, 'The repository with the same name already exists.');
    const forbidden = refusal(403, 'Given user is not allowed to create repository in organization.');
    const about = repositoryAnswer(kept, asked, { taken, missing, forbidden });
    if (about) return about;
    const project = kept.projects.get(`${at['owner']}/${at['repo']}`);
    if (!project) return missing;
    const { title, labels, state, name, body: text } = said(body);
    const names = Array.isArray(labels)
      ? labels.map((id) => labelOf(project, Number(id))).filter((one) => one !== undefined)
      : undefined;
    if (key.endsWith('/repos/{owner}/{repo}/labels')) {
      if (key.startsWith('GET'))
        return { status: 200, body: project.labels.map((one) => label(project, one)) };
      project.labels.push(words(name));
      return { status: 201, body: label(project, words(name)) };
    }
    if (key.endsWith('/issues')) {
      if (key.startsWith('POST')) {
        const issue = newIssue(project, words(title), words(text), names ?? []);
        return { status: 201, body: shown(project, issue) };
      }
      const isPull = (issue: KeptIssue) => issue.title === 'A pull request';
      const type = query.get('type');
      const all = listed(project, query.get('state') ?? 'open')
        .filter((issue) => type === null || isPull(issue) === (type === 'pulls'))
        .map((issue) => shown(project, issue));
      // The newest first, and there is no asking for another order.
      return { status: 200, body: all.reverse() };
    }
    const issue = project.issues.find(({ number, gone }) => number === Number(at['index']) && !gone);
    if (!issue) return missing;
    if (key.endsWith('/comments')) return commentsOn(issue, asked, (n) => comment(issue, n));
    if (key.endsWith('/labels')) {
      issue.labels = names ?? [];
      return { status: 200, body: issue.labels.map((one) => label(project, one)) };
    }
    if (!key.startsWith('PATCH')) return { status: 200, body: shown(project, issue) };
    if (title !== undefined) issue.title = words(title);
    if (text !== undefined) issue.body = words(text);
    if (state !== undefined) issue.open = state === 'open';
    return { status: 201, body: shown(project, issue) };
  },
};

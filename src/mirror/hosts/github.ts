import { Octokit } from '@octokit/rest';
import type { Host, RemoteIssue } from './issues.ts';
import type { Project } from './project.ts';
import { type ApiAccess, apiFetch, Moved, unlessMissing, unwrapped } from './transport.ts';

/** In one answer at most. */
const perPage = 100;

type Issue = {
  number: number;
  title: string;
  body?: string | null;
  state: string;
  labels: (string | { name?: string })[];
  pull_request?: unknown;
};

/** GitHub, and its servers for companies. */
export function githubHost({ path }: Project, access: ApiAccess): Host {
  const [owner = '', repo = ''] = path.split('/');
  const client = new Octokit({
    auth: access.token.reveal(),
    baseUrl: access.base,
    userAgent: 'fossilrepo',
    request: { fetch: apiFetch(access) },
    // Its own would write addresses to the log.
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const { issues, repos } = client.rest;
  const at = { owner, repo };
  return {
    async *list() {
      const pages = client.paginate.iterator(issues.listForRepo, {
        ...at,
        ...{ state: 'all', sort: 'created', direction: 'asc', per_page: perPage },
      });
      try {
        // Pull requests come along: to GitHub they are issues.
        for await (const { data } of pages)
          yield data.filter((one: Issue) => one.pull_request === undefined).map(read);
      } catch (error) {
        throw unwrapped(error);
      }
    },
    get: (number) =>
      ask(async () => read((await issues.get({ ...at, issue_number: number })).data))
        .catch(async (error: unknown) => {
          if (!(error instanceof Moved)) throw error;
          // Moved to another repository; or all of this one is elsewhere, which is told then.
          await ask(() => repos.get(at));
          return undefined;
        })
        .catch(unlessMissing),
    create: (issue) =>
      ask(async () => {
        const { data } = await issues.create({ ...at, ...issue, labels: [...issue.labels] });
        return { number: data.number };
      }),
    edit: (number, { title, body, open, labels }) =>
      ask(async () => {
        await issues.update({
          ...{ ...at, issue_number: number },
          ...(title !== undefined && { title }),
          ...(body !== undefined && { body }),
          ...(open !== undefined && { state: open ? 'open' : 'closed' }),
          ...(labels !== undefined && { labels: [...labels] }),
        });
      }),
    comments: (number) =>
      ask(async () => {
        const all = await client.paginate(issues.listComments, {
          ...{ ...at, issue_number: number, per_page: perPage },
        });
        return all.map(({ body }) => body ?? '');
      }),
    comment: (number, body) =>
      ask(async () => {
        await issues.createComment({ ...at, issue_number: number, body });
      }),
    createRepository: ({ description, open }) =>
      ask(async () => {
        const there = await repos.get(at).catch((error: unknown) => unlessMissing(unwrapped(error)));
        if (there) return false;
        const wanted = { name: repo, description, private: !open };
        const { data: me } = await client.rest.users.getAuthenticated();
        if (me.login.toLowerCase() === owner.toLowerCase()) await repos.createForAuthenticatedUser(wanted);
        else await repos.createInOrg({ org: owner, ...wanted });
        return true;
      }),
    // With each answer to a token that ends; of others nothing is said.
    tokenExpiry: () =>
      ask(async () => {
        const { headers } = await client.rest.rateLimit.get();
        const said = String(headers['github-authentication-token-expiration'] ?? '');
        const [, day, time, zone = 'UTC'] = /^(\S+) (\S+)(?: (\S+))?$/.exec(said) ?? [];
        if (day === undefined) return null;
        const ends = Date.parse(`${day}T${time}${zone === 'UTC' ? 'Z' : zone}`);
        return Number.isNaN(ends) ? null : ends;
      }),
  };
}

const read = ({ number, title, body, state, labels }: Issue): RemoteIssue => ({
  ...{ number, title, body: body ?? '', open: state === 'open' },
  labels: labels.flatMap((label) => (typeof label === 'string' ? label : (label.name ?? []))),
});

/** The client wraps what its transport throws. */
async function ask<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unwrapped(error);
  }
}

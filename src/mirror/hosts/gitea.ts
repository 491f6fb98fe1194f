import { giteaApi, type HttpResponse } from 'gitea-js';
import type { Host, RemoteIssue } from './issues.ts';
import type { Project } from './project.ts';
import { type ApiAccess, apiFetch, unlessMissing } from './transport.ts';

/** Asked for; many servers give 50 at most. */
const perPage = 50;
/** Gitea's labels have a colour; none means anything here. */
const colour = '#8a8f98';

type Issue = {
  number?: number;
  title?: string;
  body?: string;
  state?: string;
  labels?: { id?: number; name?: string }[];
};

/** Gitea and Forgejo. */
export function giteaHost({ path }: Project, access: ApiAccess): Host {
  const [owner = '', repo = ''] = path.split('/');
  const client = giteaApi(access.base, { token: access.token.reveal(), customFetch: apiFetch(access) });
  const { repos } = client;
  let known: Map<string, number> | undefined;
  /** Those of issues that were looked at: some are an organization's, which the project's list doesn't have. */
  const seen = new Map<string, number>();

  /** Labels are given by number; what isn't there is made. */
  const numbersOf = async (names: readonly string[]): Promise<number[]> => {
    if (known === undefined) {
      const all = await everything((page) => repos.issueListLabels(owner, repo, { page, limit: perPage }));
      known = new Map(all.map(({ name = '', id = 0 }) => [name, id]));
    }
    const numbers: number[] = [];
    for (const name of names) {
      let id = known.get(name) ?? seen.get(name);
      if (id === undefined) {
        const { data } = await repos.issueCreateLabel(owner, repo, { name, color: colour });
        id = data.id ?? 0;
        known.set(name, id);
      }
      numbers.push(id);
    }
    return numbers;
  };

  return {
    async *list() {
      yield* pages((page) =>
        repos.issueListIssues(owner, repo, { state: 'all', type: 'issues', page, limit: perPage }),
      );
    },
    get: async (number) => {
      const found = await repos.issueGetIssue(owner, repo, number).catch(unlessMissing);
      for (const { name = '', id = 0 } of found?.data.labels ?? []) seen.set(name, id);
      return found && read(found.data);
    },
    create: async ({ title, body, labels }) => {
      const numbers = await numbersOf(labels);
      const { data } = await repos.issueCreateIssue(owner, repo, { title, body, labels: numbers });
      return { number: data.number ?? 0 };
    },
    edit: async (number, { title, body, open, labels }) => {
      if (labels !== undefined)
        await repos.issueReplaceLabels(owner, repo, number, { labels: await numbersOf(labels) });
      const change = {
        ...(title !== undefined && { title }),
        ...(body !== undefined && { body }),
        ...(open !== undefined && { state: open ? 'open' : 'closed' }),
      };
      if (Object.keys(change).length > 0) await repos.issueEditIssue(owner, repo, number, change);
    },
    comments: async (number) => {
      const { data } = await repos.issueGetComments(owner, repo, number);
      return data.map(({ body = '' }) => body);
    },
    comment: async (number, body) => {
      await repos.issueCreateComment(owner, repo, number, { body });
    },
    createRepository: async ({ description, open }) => {
      if (await repos.repoGet(owner, repo).catch(unlessMissing)) return false;
      const wanted = { name: repo, description, private: !open, auto_init: false };
      const { data: me } = await client.user.userGetCurrent();
      if (me.login?.toLowerCase() === owner.toLowerCase()) await client.user.createCurrentUserRepo(wanted);
      else await client.orgs.createOrgRepo(owner, wanted);
      return true;
    },
    // Its tokens do not end.
    tokenExpiry: () => Promise.resolve(null),
  };
}

async function* pages(ask: (page: number) => Promise<HttpResponse<Issue[]>>): AsyncGenerator<RemoteIssue[]> {
  for (let page = 1; ; page++) {
    const { data } = await ask(page);
    if (data.length === 0) return;
    yield data.map(read);
  }
}

/** Until a page is empty: how long a full one is, is the server's to say. */
async function everything<T>(ask: (page: number) => Promise<HttpResponse<T[]>>): Promise<T[]> {
  const all: T[] = [];
  for (let page = 1; ; page++) {
    const { data } = await ask(page);
    if (data.length === 0) return all;
    all.push(...data);
  }
}

const read = ({ number = 0, title = '', body = '', state, labels = [] }: Issue): RemoteIssue => ({
  ...{ number, title, body, open: state !== 'closed' },
  labels: labels.flatMap(({ name }) => name ?? []),
});

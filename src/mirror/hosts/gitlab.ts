import { Issues, IssueNotes, Namespaces, PersonalAccessTokens, Projects } from '@gitbeaker/rest';
import { createRequesterFn, type FormattedResponse } from '@gitbeaker/requester-utils';
import { RemoteError } from '../remote/error.ts';
import type { Host, RemoteIssue } from './issues.ts';
import type { Project } from './project.ts';
import { type ApiAccess, apiFetch, unlessMissing } from './transport.ts';

/** In one answer at most. */
const perPage = 100;

type Issue = { iid: number; title: string; description: string | null; state: string; labels: unknown };

/** GitLab. */
export function gitlabHost({ path }: Project, access: ApiAccess): Host {
  const options = { host: access.base, token: access.token.reveal(), requesterFn: requester(access) };
  const [issues, notes, projects] = [new Issues(options), new IssueNotes(options), new Projects(options)];
  return {
    async *list() {
      for (let page: number | null = 1; page !== null;) {
        const found: Paged<Issue> = await issues.all({
          ...{ projectId: path, orderBy: 'created_at', sort: 'asc', perPage, page, maxPages: 1 },
          showExpanded: true,
        });
        yield found.data.map(read);
        page = found.paginationInfo.next;
      }
    },
    get: async (number) => {
      // The client's `show` takes the number within a project when the project is named.
      const found = await issues.show(number, { projectId: path }).catch(unlessMissing);
      return found && read(found);
    },
    create: async ({ title, body, labels }) => {
      const made = await issues.create(path, title, { description: body, labels: labels.join(',') });
      return { number: made.iid };
    },
    edit: async (number, { title, body, open, labels }) => {
      await issues.edit(path, number, {
        ...(title !== undefined && { title }),
        ...(body !== undefined && { description: body }),
        ...(open !== undefined && { stateEvent: open ? 'reopen' : 'close' }),
        ...(labels !== undefined && { labels: labels.join(',') }),
      });
    },
    comments: async (number) => {
      const texts: string[] = [];
      for (let page: number | null = 1; page !== null;) {
        const found: Paged<{ body: string }> = await notes.all(path, number, {
          ...{ sort: 'asc', orderBy: 'created_at', perPage, page, maxPages: 1, showExpanded: true },
        });
        texts.push(...found.data.map(({ body }) => body));
        page = found.paginationInfo.next;
      }
      return texts;
    },
    comment: async (number, body) => {
      await notes.create(path, number, body);
    },
    createRepository: async ({ description, open }) => {
      if (await projects.show(path).catch(unlessMissing)) return false;
      const [name = '', ...above] = path.split('/').reverse();
      const group = above.reverse().join('/');
      const { id } = await new Namespaces(options).show(group);
      await projects.create({
        ...{ name, path: name, namespaceId: id, description, visibility: open ? 'public' : 'private' },
      });
      return true;
    },
    tokenExpiry: async () => {
      try {
        const token = await new PersonalAccessTokens(options).show();
        // A day in UTC, when it begins; GitLab's published description says that it is an instant.
        const ends = Date.parse(String(token.expires_at));
        return Number.isNaN(ends) ? null : ends;
      } catch (error) {
        // A token that may only push is not told about itself.
        if (error instanceof RemoteError && error.kind === 'credential') return null;
        unlessMissing(error);
        return null;
      }
    },
  };
}

type Paged<T> = { data: T[]; paginationInfo: { next: number | null } };

const read = ({ iid, title, description, state, labels }: Issue): RemoteIssue => ({
  ...{ number: iid, title, body: description ?? '', open: state === 'opened' },
  labels: Array.isArray(labels) ? labels.filter((label) => typeof label === 'string') : [],
});

/** The client's own repeats requests that were answered with 502, also those that made something. */
function requester(access: ApiAccess): ReturnType<typeof createRequesterFn> {
  const ask = apiFetch(access);
  return createRequesterFn(
    (_, request) => Promise.resolve(request),
    async (endpoint, options = {}): Promise<FormattedResponse> => {
      const { prefixUrl, searchParams, method, headers, body } = options as Readonly<Record<string, unknown>>;
      const base = String(prefixUrl);
      const url = new URL(endpoint, base.endsWith('/') ? base : `${base}/`);
      url.search = typeof searchParams === 'string' ? searchParams : '';
      const answer = await ask(url, {
        method: String(method),
        headers: headers as Record<string, string>,
        ...(typeof body === 'string' && { body }),
      });
      const found = answer.status === 204 ? null : ((await answer.json()) as Record<string, unknown>);
      return { body: found, headers: Object.fromEntries(answer.headers), status: answer.status };
    },
  );
}

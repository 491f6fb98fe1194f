import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apiDescription } from './api-description.ts';
import { newProject, type Page } from './flavour.ts';
import { gitea } from './flavour-gitea.ts';
import { github } from './flavour-github.ts';
import { gitlab } from './flavour-gitlab.ts';

const flavours = { github, gitlab, gitea };

/** An issue as the stand-in keeps it, whoever's API it is shown by. */
export type KeptIssue = {
  number: number;
  title: string;
  body: string;
  open: boolean;
  labels: string[];
  comments: string[];
  /** It is no longer there. */
  gone?: 'deleted' | 'moved';
};

/** A project of the stand-in. */
export type KeptProject = {
  issues: KeptIssue[];
  labels: string[];
  /** Labels of the organization that it belongs to. */
  others: string[];
  open: boolean;
};

export type Kept = {
  projects: Map<string, KeptProject>;
  /** Projects that are there, and that the token may not see. */
  hidden: Set<string>;
  /** Organizations, at GitLab groups and groups within groups, in which the token may make repositories. */
  groups: Set<string>;
  /** Whose token it is. */
  login: string;
  /** When the token ends, or never. */
  expires: Date | undefined;
  /** How GitLab says that. */
  expiresAs: 'day' | 'instant';
  /** Where it answers. */
  base: string;
};

/** A body that is a text is sent as it is. */
export type Answer = { status: number; body: unknown; headers?: Record<string, string> };
export type Asked = { key: string; at: Record<string, string>; query: URLSearchParams; body: unknown };

/** How one host's API looks over what is kept. Lists are answered whole: they are cut into pages afterwards. */
export type Flavour = {
  isAuthorized: (headers: IncomingMessage['headers'], token: string) => boolean;
  answer: (kept: Kept, asked: Asked) => Answer;
  unauthorized: Answer;
  /** To a request that is not as described. */
  invalid: (why: string) => Answer;
  /** @param left how many more are refused so */
  limited: (seconds: number, left: number) => Answer;
  page: (query: URLSearchParams) => { number: number; size: number };
  /** How long a page is at most. */
  longest: number;
  /** Lists that are always given whole. */
  unpaged?: RegExp;
  /** What an answer says about the pages. */
  pageHeaders: (url: URL, page: Page) => Record<string, string>;
  /** What every answer says. */
  headers: (kept: Kept) => Record<string, string>;
};

/**
 * A stand-in for a host of issues, with a memory. It holds every request and every answer against the host's published description, wants the
 * token, gives small pages, and can refuse for the rate, or break off after it has stored what it was sent.
 * @param options.pageSize the longest page that it gives
 */
export async function startIssueHost(
  kind: keyof typeof flavours,
  options: {
    token: string;
    login?: string;
    pageSize?: number;
    made?: (path: string) => void;
    /** Then it answers by https://, as localhost. */
    tls?: { key: Buffer; cert: Buffer };
  },
) {
  const description = apiDescription(kind);
  const flavour = flavours[kind];
  const kept: Kept = {
    ...{ projects: new Map<string, KeptProject>(), hidden: new Set<string>() },
    ...{ groups: new Set<string>(), base: '' },
    ...{ login: options.login ?? 'me', expires: undefined, expiresAs: 'day' },
  };
  const violations: string[] = [];
  const calls: { key: string; status: number }[] = [];
  const knobs = { limits: 0, seconds: 0, breakAfter: Infinity, hang: false, writes: 0, failures: 0 };
  let { token } = options;

  const answerTo = (request: IncomingMessage, url: URL, body: unknown): { answer: Answer; key: string } => {
    const { method = '' } = request;
    const found = description.find(method, url.pathname);
    const key = found?.key ?? `${method} ${url.pathname}`;
    if (!found) {
      violations.push(`${key} is not described`);
      return { key, answer: { status: 404, body: { message: 'Not Found' } } };
    }
    const checked = (answer: Answer): { answer: Answer; key: string } => {
      const strange = description.answer(key, answer.status, answer.body);
      violations.push(...strange.map((text) => `answer to ${key}: ${text}`));
      return { key, answer };
    };
    if (!flavour.isAuthorized(request.headers, token)) return checked(flavour.unauthorized);
    if (knobs.limits > 0) return checked(flavour.limited(knobs.seconds, --knobs.limits));
    const wrong = description.request(key, found.at, url.searchParams, body);
    if (body !== undefined && !request.headers['content-type']?.includes('application/json'))
      wrong.push('its text is not said to be JSON');
    if (wrong.length > 0) {
      violations.push(...wrong.map((text) => `${key}: ${text}`));
      return checked(flavour.invalid(wrong.join('; ')));
    }
    const before = new Set(kept.projects.keys());
    const answer = flavour.answer(kept, { key, at: found.at, query: url.searchParams, body });
    for (const path of kept.projects.keys()) if (!before.has(path)) options.made?.(path);
    return checked(paged(answer, url));
  };

  const paged = (answer: Answer, url: URL): Answer => {
    if (!Array.isArray(answer.body) || flavour.unpaged?.test(url.pathname)) return answer;
    const all: unknown[] = answer.body;
    const { number, size } = flavour.page(url.searchParams);
    const most = Math.min(size, options.pageSize ?? flavour.longest);
    const last = Math.max(1, Math.ceil(all.length / most));
    const page = { number, last, size: most, total: all.length };
    return {
      ...answer,
      body: all.slice((number - 1) * most, number * most),
      headers: { ...answer.headers, ...flavour.pageHeaders(url, page) },
    };
  };

  const answerAll = (request: IncomingMessage, response: ServerResponse): void => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const text = Buffer.concat(pieces).toString();
      const url = new URL(request.url ?? '', kept.base);
      if (request.method !== 'GET' && knobs.failures > 0) {
        knobs.failures--;
        calls.push({ key: `${request.method ?? ''} ${url.pathname}`, status: 502 });
        response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway</html>');
        return;
      }
      const { answer, key } = answerTo(request, url, text === '' ? undefined : JSON.parse(text));
      calls.push({ key, status: answer.status });
      const isWrite = request.method !== 'GET' && answer.status < 300;
      if (isWrite && ++knobs.writes >= knobs.breakAfter) {
        // Stored, and nobody is told.
        if (!knobs.hang) request.socket.destroy();
        knobs.breakAfter = Infinity;
        return;
      }
      const headers = { 'content-type': 'application/json', ...flavour.headers(kept), ...answer.headers };
      response.writeHead(answer.status, headers);
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    })().catch((error: unknown) => {
      violations.push(`the stand-in failed: ${String(error)}`);
      response.writeHead(500).end();
    });
  };
  const server = options.tls ? createHttps(options.tls, answerAll) : createServer(answerAll);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  kept.base = options.tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  return {
    url: kept.base,
    kept,
    /** How a request or an answer was not as described. */
    violations,
    /** What was asked and answered since `calls.length = 0`. */
    calls,
    project: (path: string): KeptProject => {
      const found = kept.projects.get(path) ?? newProject(false);
      kept.projects.set(path, found);
      return found;
    },
    /** The next requests are refused for their rate. */
    limit: (times: number, seconds: number) => Object.assign(knobs, { limits: times, seconds }),
    /** The connection breaks after so many more writes, the last of which is stored. @param hang it stays open, and nothing comes */
    breakAfter: (writes: number, hang = false) =>
      Object.assign(knobs, { breakAfter: writes, writes: 0, hang }),
    /** The next writes are answered by a proxy that got none from the host. */
    failAt: (writes: number) => Object.assign(knobs, { failures: writes }),
    isWhole: () => knobs.breakAfter === Infinity,
    setToken: (next: string) => void (token = next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

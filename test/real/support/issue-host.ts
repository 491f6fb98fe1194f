import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { apiDescription } from './api-description.ts';
import { flavours } from './issue-flavours.ts';

/** An issue as the stand-in keeps it, whoever's API it is shown by. */
export type KeptIssue = {
  number: number;
  title: string;
  body: string;
  open: boolean;
  labels: string[];
  comments: string[];
};

/** A project of the stand-in. */
export type KeptProject = { issues: KeptIssue[]; labels: string[]; open: boolean };

export type Kept = {
  projects: Map<string, KeptProject>;
  /** Whose token it is. */
  login: string;
  /** When the token ends, or never. */
  expires: Date | undefined;
  /** Where it answers. */
  base: string;
};

export type Answer = { status: number; body: unknown; headers?: Record<string, string> };
export type Asked = { key: string; at: Record<string, string>; query: URLSearchParams; body: unknown };

/** How one host's API looks over what is kept. Lists are answered whole: they are cut into pages afterwards. */
export type Flavour = {
  isAuthorized: (headers: IncomingMessage['headers'], token: string) => boolean;
  answer: (kept: Kept, asked: Asked) => Answer;
  limited: (seconds: number) => Answer;
  page: (query: URLSearchParams) => { number: number; size: number };
  /** Lists that are always given whole. */
  unpaged?: RegExp;
  /** What an answer says about the pages. */
  pageHeaders: (url: URL, number: number, last: number) => Record<string, string>;
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
  const kept: Kept = { projects: new Map(), login: options.login ?? 'me', expires: undefined, base: '' };
  const violations: string[] = [];
  const calls: { key: string; status: number }[] = [];
  const knobs = { limits: 0, seconds: 0, breakAfter: Infinity, hang: false, writes: 0 };
  let { token } = options;

  const answerTo = (request: IncomingMessage, url: URL, body: unknown): { answer: Answer; key: string } => {
    const { method = '' } = request;
    const found = description.find(method, url.pathname);
    const key = found?.key ?? `${method} ${url.pathname}`;
    if (!found) {
      violations.push(`${key} is not described`);
      return { key, answer: { status: 404, body: { message: 'Not Found' } } };
    }
    if (!flavour.isAuthorized(request.headers, token))
      return { key, answer: { status: 401, body: { message: 'Bad credentials' } } };
    if (knobs.limits > 0) {
      knobs.limits--;
      return { key, answer: flavour.limited(knobs.seconds) };
    }
    const wrong = description.request(key, found.at, url.searchParams, body);
    if (wrong.length > 0) {
      violations.push(...wrong.map((text) => `${key}: ${text}`));
      return { key, answer: { status: 422, body: { message: wrong.join('; ') } } };
    }
    const before = new Set(kept.projects.keys());
    const answer = flavour.answer(kept, { key, at: found.at, query: url.searchParams, body });
    for (const path of kept.projects.keys()) if (!before.has(path)) options.made?.(path);
    if (answer.status >= 300) return { key, answer };
    const cut = paged(answer, url);
    violations.push(
      ...description.answer(key, cut.status, cut.body).map((text) => `answer to ${key}: ${text}`),
    );
    return { key, answer: cut };
  };

  const paged = (answer: Answer, url: URL): Answer => {
    if (!Array.isArray(answer.body) || flavour.unpaged?.test(url.pathname)) return answer;
    const all: unknown[] = answer.body;
    const { number, size } = flavour.page(url.searchParams);
    const most = Math.min(size, options.pageSize ?? 100);
    const last = Math.max(1, Math.ceil(all.length / most));
    return {
      ...answer,
      body: all.slice((number - 1) * most, number * most),
      headers: { ...answer.headers, ...flavour.pageHeaders(url, number, last) },
    };
  };

  const answerAll = (request: IncomingMessage, response: ServerResponse): void => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const text = Buffer.concat(pieces).toString();
      const url = new URL(request.url ?? '', kept.base);
      const { answer, key } = answerTo(request, url, text === '' ? undefined : JSON.parse(text));
      calls.push({ key, status: answer.status });
      const isWrite = request.method !== 'GET' && answer.status < 300;
      if (isWrite && ++knobs.writes >= knobs.breakAfter) {
        // Stored, and nobody is told.
        if (!knobs.hang) request.socket.destroy();
        knobs.breakAfter = Infinity;
        return;
      }
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      response.end(JSON.stringify(answer.body));
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
      const found = kept.projects.get(path) ?? { issues: [], labels: [], open: false };
      kept.projects.set(path, found);
      return found;
    },
    /** The next requests are refused for their rate. */
    limit: (times: number, seconds: number) => Object.assign(knobs, { limits: times, seconds }),
    /** The connection breaks after so many more writes, the last of which is stored. @param hang it stays open, and nothing comes */
    breakAfter: (writes: number, hang = false) =>
      Object.assign(knobs, { breakAfter: writes, writes: 0, hang }),
    isWhole: () => knobs.breakAfter === Infinity,
    setToken: (next: string) => void (token = next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

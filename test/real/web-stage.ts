import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { administratorLogin } from '../../src/access/administrator.ts';
import { makeInstance } from '../../src/apply/instance.ts';
import { pathsUnder, repositoryFile } from '../../src/config/paths.ts';
import { type Forge, forgeOf } from '../../src/forge.ts';
import type { Health } from '../../src/health/health.ts';
import { loadSecrets } from '../../src/secrets/load.ts';
import { hashPassword } from '../../src/secrets/passwords.ts';
import { newInstanceKey } from '../../src/secrets/seal.ts';
import { serverWith } from '../../src/server.ts';
import { getMember, updateMember } from '../../src/store/members.ts';
import { insertRepository, type Repository } from '../../src/store/repositories.ts';
import { openStore } from '../../src/store/store.ts';
import { listen } from '../../src/web/listen.ts';
import { commitFile, initRepository } from './support/fossil-lab.ts';

export const password = 'correct horse battery';

/** A listening root domain in a temporary folder. Repositories are real files; the edge and the loop aren't there. */
export type Stage = AsyncDisposable & {
  forge: Forge;
  /** What the loop would have seen; tests change it. */
  health: Health;
  /** What was logged. */
  log: string[];
  origin: string;
  ask: (path: string, options?: Asked) => Promise<Answer>;
  /** Sends a form as a browser does. */
  send: (path: string, fields: Record<string, string>, options?: Asked) => Promise<Answer>;
  /** @returns the cookie to send */
  signIn: () => Promise<string>;
  addRepository: (wish: Partial<Repository> & { name: string }, checkins?: number) => Promise<Repository>;
};

export type Asked = {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
};
export type Answer = { status: number; headers: IncomingHttpHeaders; body: string };

export async function stageWeb(config = 'domain: forge.example.com\n'): Promise<Stage> {
  const root = mkdtempSync(join(tmpdir(), 'fossilrepo-web-'));
  const paths = pathsUnder(root);
  for (const folder of [paths.secrets, paths.repos, paths.trash, paths.state, dirname(paths.serveSocket)])
    mkdirSync(folder, { recursive: true });
  writeFileSync(join(paths.secrets, 'instance-key'), newInstanceKey(), { mode: 0o600 });
  await makeInstance(paths);
  const log: string[] = [];
  const store = openStore(paths);
  const server = serverWith(config, { root, json: false });
  const note = (text: string) => void log.push(text);
  const forge = forgeOf(
    { ...server, out: { ...server.out, say: note, warn: note } },
    store,
    loadSecrets(paths),
  );
  updateMember(store, getMember(store, administratorLogin).id, {
    passwordHash: await hashPassword(password),
  });
  const health: Health = {
    ok: true,
    level: 'green',
    findings: [],
    verified: { databases: 0, inLastWeek: 0, last: null },
    repositories: [],
    canary: null,
    lookedAt: new Date().toISOString(),
  };
  const listening = await listen({ forge, health: () => health });
  const { tls, domain, ports } = forge.config;
  const origin = tls === 'off' ? `http://${domain}:${ports.http}` : `https://${domain}`;

  const ask = (path: string, { method = 'GET', headers = {}, body }: Asked = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const common = { host: domain, 'x-forwarded-for': '192.0.2.1' };
      const asked = request({
        socketPath: paths.serveSocket,
        path,
        method,
        headers: { ...common, ...headers },
        agent: false,
      });
      asked.on('error', reject);
      asked.on('response', (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      asked.end(body);
    });
  const send: Stage['send'] = (path, fields, { headers, ...rest } = {}) => {
    const browser = { origin, 'sec-fetch-site': 'same-origin' };
    const body = new URLSearchParams(fields).toString();
    const type = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
    };
    return ask(path, { method: 'POST', body, ...rest, headers: { ...type, ...(headers ?? browser) } });
  };
  return {
    forge,
    health,
    log,
    origin,
    ask,
    send,
    signIn: async () => {
      const { status, headers } = await send('/sign-in', { login: administratorLogin, password });
      const cookie = headers['set-cookie']?.[0]?.split(';')[0];
      if (status !== 303 || cookie === undefined) throw new Error(`could not sign in: ${status}`);
      return cookie;
    },
    addRepository: async (wish, checkins = 0) => {
      const file = repositoryFile(paths, wish.name);
      await initRepository(file, paths.state);
      for (let n = 0; n < checkins; n++) await commitFile(file, paths.state, `file-${n}`, `${n}\n`);
      const row = { state: 'active', visibility: 'private', id: crypto.randomUUID() } as const;
      return insertRepository(store, { ...row, file: `repos/${wish.name}.fossil`, ...wish });
    },
    [Symbol.asyncDispose]: async () => {
      await listening.close();
      store.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

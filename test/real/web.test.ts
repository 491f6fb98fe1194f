import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tokenOf } from '../../src/access/members.ts';
import { administratorLogin } from '../../src/access/administrator.ts';
import { repositoryFile } from '../../src/config/paths.ts';
import { hashPassword } from '../../src/secrets/passwords.ts';
import { seal } from '../../src/secrets/seal.ts';
import { addEvent } from '../../src/store/events.ts';
import { getMember, insertMember, updateMember } from '../../src/store/members.ts';
import { getRepository, updateRepository } from '../../src/store/repositories.ts';
import { attemptsPerAddress } from '../../src/web/attempts.ts';
import { commitFile } from './support/fossil-lab.ts';
import { password, type Stage, stageWeb } from './web-stage.ts';

const hidden = [
  'secret-plans',
  'Plans nobody knows',
  'inside-job',
  'fossilrepo-canary',
  'thrown-away',
  'half-made',
];
const mended = 'access to secret-plans had been changed by hand';
let stage: Stage;

beforeAll(async () => {
  stage = await stageWeb();
  await stage.addRepository({ name: 'demo', visibility: 'public', description: 'A <b>demo</b> & more' }, 2);
  await stage.addRepository({ name: 'secret-plans', description: 'Plans nobody knows' }, 1);
  await stage.addRepository({ name: 'inside-job', visibility: 'internal' });
  await stage.addRepository({ name: 'fossilrepo-canary', visibility: 'public', hidden: true });
  await stage.addRepository({ name: 'half-made', visibility: 'public', state: 'creating' });
  const { id } = await stage.addRepository({ name: 'thrown-away', visibility: 'public' });
  updateRepository(stage.forge.store, id, { state: 'trashed', deletedAt: Date.now() });
  const { id: secretId } = getRepository(stage.forge.store, 'secret-plans');
  addEvent(stage.forge.store, { kind: 'mended', text: mended, repository: secretId });
  Object.assign(stage.health, {
    repositories: [
      { id: secretId, name: 'secret-plans', ok: false, ageSeconds: 75, why: 'its replica is 75 s old' },
    ],
    findings: [
      { level: 'yellow', about: 'secret-plans', what: 'secret-plans <i>is odd</i>.', next: 'Look at it.' },
    ],
    level: 'yellow',
  });
});
afterAll(() => stage[Symbol.asyncDispose]());

/** An event as `/health` shows it. */
const asTold = (kind: string, text: string): unknown => expect.objectContaining({ kind, text });

/** A limit of one test must not be another's. */
const from = (address: string) => ({
  origin: stage.origin,
  'sec-fetch-site': 'same-origin',
  'x-forwarded-for': address,
});

describe('for strangers', () => {
  test('the page lists what is public, with its clone command, and nothing else', async () => {
    const { status, body, headers } = await stage.ask('/');
    expect(status).toBe(200);
    expect(body).toContain('href="https://demo.forge.example.com/"');
    expect(body).toContain('fossil clone https://demo.forge.example.com/ demo.fossil');
    // The one that `fossil init` makes, and ours.
    expect(body).toContain('3 check-ins');
    expect(body).toContain('A &lt;b&gt;demo&lt;/b&gt; &amp; more');
    expect(body).toContain('action="/sign-in"');
    expect(body).not.toMatch(/<script|sign-out|undefined|\[object/);
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=UTF-8', vary: 'Cookie' });
  });

  test('no answer names anything private', async () => {
    const id = getRepository(stage.forge.store, 'secret-plans').id;
    for (const path of ['/', '/sign-in', '/health', '/nothing', '/demo', '/?q=1']) {
      const answer = JSON.stringify(await stage.ask(path));
      for (const name of [...hidden, id, 'is odd', stage.forge.paths.root])
        expect(answer, path).not.toContain(name);
    }
  });

  test('health says whether, not what', async () => {
    const { status, body, headers } = await stage.ask('/health');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toEqual({ ok: true, level: 'yellow', lookedAt: stage.health.lookedAt });
    expect(headers['cache-control']).toBe('no-store');
  });
});

describe('signed in', () => {
  test('an administrator sees all, its health and findings; never the canary, the trash or what is half made', async () => {
    const cookie = await stage.signIn();
    const { body, headers } = await stage.ask('/', { headers: { cookie } });
    for (const text of ['secret-plans', 'Plans nobody knows', 'inside-job', 'Administrator', 'Sign out'])
      expect(body).toContain(text);
    expect(body).toContain('its replica is 75 s old');
    expect(body).toContain('secret-plans &lt;i&gt;is odd&lt;/i&gt;.');
    expect(body).toContain('https://admin@secret-plans.forge.example.com/ secret-plans.fossil');
    for (const name of hidden.slice(3)) expect(body).not.toContain(name);
    expect(headers['cache-control']).toBe('no-store');
    const health = await stage.ask('/health', { headers: { cookie } });
    expect(JSON.parse(health.body)).toEqual({ ...stage.health, events: [asTold('mended', mended)] });
  });

  test('another member sees internal repositories and not private ones, nor health', async () => {
    const { store, secrets } = stage.forge;
    insertMember(store, {
      login: 'eve',
      administrator: false,
      passwordHash: await hashPassword('eves password'),
      sealedToken: seal(secrets.instanceKey, 'token:eve', 'eves-token'),
    });
    const answer = await stage.send('/sign-in', { login: 'eve', password: 'eves password' });
    const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const { body } = await stage.ask('/', { headers: { cookie } });
    expect(body).toContain('https://eve@inside-job.forge.example.com/');
    expect(body).not.toMatch(/secret-plans|id="health"/);
    expect((await stage.ask('/health', { headers: { cookie } })).body).not.toContain('secret-plans');
    expect((await stage.ask('/health', { headers: { authorization: 'Bearer eves-token' } })).status).toBe(
      401,
    );
  });

  test('the cookie is only ours, for this host, hidden from scripts, for 14 days', async () => {
    const { status, headers } = await stage.send('/sign-in', { login: administratorLogin, password });
    expect(status).toBe(303);
    expect(headers.location).toBe('/');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['set-cookie']).toHaveLength(1);
    const [cookie = ''] = headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/^__Host-fossilrepo=frt[0-9a-f]{40};/);
    expect(cookie.split('; ').slice(1).toSorted()).toEqual([
      'HttpOnly',
      'Max-Age=1209600',
      'Path=/',
      'SameSite=Lax',
      'Secure',
    ]);
  });

  test('signing out ends the session on the server too', async () => {
    const cookie = await stage.signIn();
    const { status, headers } = await stage.send(
      '/sign-out',
      {},
      { headers: { cookie, ...from('192.0.2.1') } },
    );
    expect(status).toBe(303);
    expect(headers['set-cookie']?.[0]).toMatch(/^__Host-fossilrepo=; Max-Age=0;.*Secure/);
    expect((await stage.ask('/', { headers: { cookie } })).body).not.toContain('Sign out');
  });

  test('signing in again ends the former session', async () => {
    const cookie = await stage.signIn();
    await stage.send(
      '/sign-in',
      { login: administratorLogin, password },
      { headers: { cookie, ...from('192.0.2.1') } },
    );
    expect((await stage.ask('/', { headers: { cookie } })).body).not.toContain('Sign out');
  });

  test('a member that is disabled is out at once, and can not come back', async () => {
    const { store } = stage.forge;
    const cookie = await stage.signIn();
    const { id } = getMember(store, administratorLogin);
    updateMember(store, id, { disabledAt: Date.now() });
    try {
      expect((await stage.ask('/', { headers: { cookie } })).body).not.toMatch(/Sign out|secret-plans/);
      expect((await stage.send('/sign-in', { login: administratorLogin, password })).status).toBe(403);
      const authorization = `Bearer ${tokenOf(stage.forge, getMember(store, administratorLogin)).reveal()}`;
      expect((await stage.ask('/health', { headers: { authorization } })).status).toBe(401);
    } finally {
      updateMember(store, id, { disabledAt: null });
    }
    expect((await stage.ask('/', { headers: { cookie } })).body).not.toContain('Sign out');
  });

  test.each(['', 'x', 'frt' + '0'.repeat(40), "' OR 1=1 --", '%00', 'a'.repeat(4000)])(
    'a made-up session %.20s is a stranger',
    async (token) => {
      const { status, body } = await stage.ask('/', { headers: { cookie: `__Host-fossilrepo=${token}` } });
      expect(status).toBe(200);
      expect(body).not.toContain('secret-plans');
    },
  );

  test('a cookie without the prefix, as a repository could set for the whole domain, is ignored', async () => {
    const cookie = (await stage.signIn()).replace('__Host-', '');
    expect((await stage.ask('/', { headers: { cookie } })).body).not.toContain('Sign out');
  });
});

describe('health', () => {
  test("an administrator's token reads the whole; red is 503", async () => {
    const authorization = `Bearer ${tokenOf(stage.forge, getMember(stage.forge.store, administratorLogin)).reveal()}`;
    const last = Array.from({ length: 20 }, (_, index) => `${index} was put into the folder`);
    for (const text of last) addEvent(stage.forge.store, { kind: 'adopted', text });
    stage.health.ok = false;
    try {
      const { status, body } = await stage.ask('/health', { headers: { authorization } });
      expect(status).toBe(503);
      const events = last.toReversed().map((text) => asTold('adopted', text));
      expect(JSON.parse(body)).toEqual({ ...stage.health, events });
      expect((await stage.ask('/health')).status).toBe(503);
      expect(await stage.ask('/health', { method: 'HEAD' })).toMatchObject({ status: 503, body: '' });
    } finally {
      stage.health.ok = true;
    }
  });

  test.each(['Bearer wrong', 'Bearer ', 'Basic YWRtaW46eA==', 'x'])(
    'a wrong token (%s) is told so, and learns nothing',
    async (authorization) => {
      const { status, headers, body } = await stage.ask('/health', { headers: { authorization } });
      expect(status).toBe(401);
      expect(headers['www-authenticate']).toBe('Bearer');
      expect(body).not.toContain('secret-plans');
    },
  );
});

describe('limits and likeness of failed sign-ins', () => {
  test('a wrong login and a wrong password answer the same, and take the same', async () => {
    const times = new Map<string, number[]>();
    const bodies = new Set<string>();
    for (let round = 0; round < 4; round++)
      for (const login of [administratorLogin, 'nobod']) {
        const started = performance.now();
        const { status, body } = await stage.send(
          '/sign-in',
          { login, password: 'wrong' },
          { headers: from(`198.51.100.${round}`) },
        );
        times.set(login, [...(times.get(login) ?? []), performance.now() - started]);
        expect(status).toBe(403);
        expect(body).toContain('role="alert">Login or password is wrong.');
        bodies.add(body.replace(login, 'LOGIN'));
      }
    expect(bodies.size).toBe(1);
    const [known = 0, unknown = 0] = [...times.values()].map((list) => Math.min(...list));
    expect(unknown).toBeGreaterThan(known / 2);
    expect(unknown).toBeLessThan(known * 2);
  });

  test('one address is locked out after its attempts, the right password included; others are not', async () => {
    const headers = from('203.0.113.9');
    for (let n = 0; n < attemptsPerAddress; n++)
      expect((await stage.send('/sign-in', { login: `guess${n}`, password: 'x' }, { headers })).status).toBe(
        403,
      );
    const refused = await stage.send('/sign-in', { login: administratorLogin, password }, { headers });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(800);
    expect(refused.body).toContain('Too many failed attempts. Try again in 15 minutes.');
    expect(refused.headers['set-cookie']).toBeUndefined();
    expect(stage.log.filter((line) => line.includes('203.0.113.9'))).toHaveLength(1);
    expect(stage.log.join('\n')).not.toContain(password);
    await stage.signIn();
  });

  test('many at once do not slip through', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, () =>
        stage.send(
          '/sign-in',
          { login: administratorLogin, password: 'x' },
          { headers: from('203.0.113.20') },
        ),
      ),
    );
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(attemptsPerAddress);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30 - attemptsPerAddress);
  });

  test.each([
    {},
    { login: 'admin' },
    { login: 'a'.repeat(300), password: 'x' },
    { login: 'admin', password: 'x'.repeat(2000) },
  ])('a form that is not one (%#) is refused', async (fields: Record<string, string>) => {
    expect((await stage.send('/sign-in', fields, { headers: from('203.0.113.30') })).status).toBe(400);
  });

  test('what was typed is shown again, escaped, without the password', async () => {
    const login = '"><script>alert(1)</script>';
    const { body } = await stage.send(
      '/sign-in',
      { login, password: 'typed-secret' },
      { headers: from('203.0.113.31') },
    );
    expect(body).not.toMatch(/<script|typed-secret/);
    expect(body).toContain('value="&quot;&gt;&lt;script&gt;');
  });
});

describe('other origins', () => {
  const repository = 'https://demo.forge.example.com';
  test.each([
    ["a repository's page", { origin: repository, 'sec-fetch-site': 'same-site' }],
    ["a repository's page in an old browser", { origin: repository }],
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a sandboxed frame', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['the same name by plain HTTP', { origin: 'http://forge.example.com' }],
    ['a name that begins alike', { origin: 'https://forge.example.com.evil.example' }],
    ['nobody who says where from', {}],
  ])('%s cannot sign anybody in or out', async (_, headers) => {
    const cookie = await stage.signIn();
    const out = await stage.send('/sign-out', {}, { headers: { cookie, ...headers } });
    expect(out.status).toBe(403);
    expect((await stage.ask('/', { headers: { cookie } })).body).toContain('Sign out');
    const signIn = await stage.send('/sign-in', { login: administratorLogin, password }, { headers });
    expect(signIn.status).toBe(403);
    expect(signIn.headers['set-cookie']).toBeUndefined();
  });

  test.each(['application/json', 'text/plain', 'multipart/form-data; boundary=x'])(
    'a body of type %s is no form',
    async (type) => {
      const cookie = await stage.signIn();
      const headers = { origin: repository, 'content-type': type, cookie };
      expect((await stage.ask('/sign-out', { method: 'POST', headers, body: '{}' })).status).toBe(415);
      expect((await stage.ask('/', { headers: { cookie } })).body).toContain('Sign out');
    },
  );

  test('nobody else is allowed to read, frame or embed any answer', async () => {
    for (const path of ['/', '/sign-in', '/health', '/nothing']) {
      const { headers } = await stage.ask(path, { headers: { origin: repository } });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'x-frame-options': 'DENY',
      });
    }
  });
});

describe('hostile requests', () => {
  test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST'])(
    '%s / is 405, in the same look',
    async (method) => {
      const { status, headers, body } = await stage.ask('/', { method });
      expect(status).toBe(405);
      expect(headers.allow).toBe('GET, HEAD');
      expect(body).toContain('href="/style-');
    },
  );

  test('what is not there is 404, in the same look', async () => {
    for (const path of [
      '/nothing',
      '/..%2f..%2fetc/passwd',
      '/style.css',
      '/%00',
      '/%ff',
      `/${'a'.repeat(5000)}`,
    ]) {
      const { status, body } = await stage.ask(path);
      expect(status, path).toBe(404);
      expect(body).toContain('There is nothing here');
    }
    expect((await stage.ask('/nothing', { method: 'POST', body: 'x' })).status).toBe(404);
  });

  test('a large form is 413, declared or in chunks, and the next request is answered', async () => {
    const body = Buffer.alloc(300_000, 'a');
    const type = { 'content-type': 'application/x-www-form-urlencoded', ...from('203.0.113.40') };
    const declared = { ...type, 'content-length': String(body.length) };
    expect((await stage.ask('/sign-in', { method: 'POST', headers: declared, body })).status).toBe(413);
    const chunked = { ...type, 'transfer-encoding': 'chunked' };
    expect((await stage.ask('/sign-in', { method: 'POST', headers: chunked, body })).status).toBe(413);
    expect((await stage.ask('/')).status).toBe(200);
  });

  test.each([
    [
      'two hosts',
      'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
      /^HTTP\/1.1 (200|400) /,
    ],
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400 /],
    ['an odd host', 'GET / HTTP/1.1\r\nHost: a/b?c@d\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'both lengths',
      'POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    ['a large header', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\r\n\r\n', /^HTTP\/1.1 400 /],
  ])('%s', async (_, sent, answer) => {
    const text = await new Promise<string>((resolve, reject) => {
      let got = '';
      const socket = connect(stage.forge.paths.serveSocket, () => socket.write(sent));
      socket.on('data', (chunk) => (got += chunk.toString()));
      socket.on('close', () => resolve(got));
      socket.on('error', (error) => (got === '' ? reject(error) : resolve(got)));
    });
    expect(text).toMatch(answer);
    expect(text).not.toContain('secret-plans');
  });

  test('an error shows no stack and nothing of the server; the log has it', async () => {
    await using broken = await stageWeb();
    const cookie = await broken.signIn();
    Object.defineProperty(broken.health, 'repositories', {
      get: () => {
        throw new Error('the inside of things');
      },
    });
    const { status, body, headers } = await broken.ask('/', { headers: { cookie } });
    expect(status).toBe(500);
    expect(body).toContain('Something went wrong');
    expect(body).not.toMatch(/inside of things|\.ts|node_modules/);
    expect(headers['content-security-policy']).toBeDefined();
    expect(headers['cache-control']).toBe('no-store');
    expect(broken.log.join('\n')).toMatch(/inside of things[\s\S]*web-stage|inside of things[\s\S]*\.ts/);
  });
});

describe('how it is served', () => {
  test('the style sheet may be kept for ever, under its own address', async () => {
    const { body } = await stage.ask('/');
    const path = /href="(\/style-[0-9a-f]+\.css)"/.exec(body)?.[1] ?? '';
    const { status, headers } = await stage.ask(path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/css; charset=UTF-8',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect(headers['set-cookie']).toBeUndefined();
  });

  test('the socket is for the owner and the group only, and goes when the server ends', async () => {
    const other = await stageWeb();
    const { serveSocket } = other.forge.paths;
    expect(statSync(serveSocket).mode & 0o777).toBe(0o660);
    await other[Symbol.asyncDispose]();
    expect(() => statSync(serveSocket)).toThrow();
  });

  test('a new check-in, a new description and a broken file show at once', async () => {
    const { forge } = stage;
    const row = await stage.addRepository({ name: 'moving', visibility: 'public' }, 1);
    expect((await stage.ask('/')).body).toMatch(/moving[\s\S]*2 check-ins/);
    await sleep(200);
    await stage.ask('/');
    await commitFile(join(forge.paths.data, row.file), forge.paths.state, 'again', 'again\n');
    updateRepository(forge.store, row.id, { description: 'Said anew' });
    const { body } = await stage.ask('/');
    expect(body.slice(body.indexOf('moving.forge'))).toContain('3 check-ins');
    expect(body).toContain('Said anew');
    writeFileSync(repositoryFile(forge.paths, 'moving'), 'no repository');
    const broken = await stage.ask('/');
    expect(broken.status).toBe(200);
    expect(broken.body).toContain('Its file cannot be read.');
  });

  test('on plain HTTP the cookie has no prefix, and is still only for us', async () => {
    await using local = await stageWeb('domain: localhost\nports: { http: 8080 }\n');
    const { headers } = await local.send('/sign-in', { login: administratorLogin, password });
    const [cookie = ''] = headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/^fossilrepo=frt/);
    expect(cookie).toContain('HttpOnly; SameSite=Lax');
    expect(cookie).not.toContain('Secure');
    const page = await local.ask('/', { headers: { cookie: cookie.split(';')[0] ?? '' } });
    expect(page.body).toContain('None yet.');
    const neighbour = { headers: { origin: 'http://localhost:81', 'sec-fetch-site': 'same-site' } };
    expect((await local.send('/sign-in', { login: administratorLogin, password }, neighbour)).status).toBe(
      403,
    );
  });
});

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { caddyRoot } from '../../src/programs/caddy.ts';
import { repositoryUrl, withLogin } from '../../src/repos/urls.ts';
import { ask, askRaw } from './edge-ask.ts';
import { dev, type Stage, startStage } from './edge-stage.ts';
import { type Pebble, startPebble } from './pebble.ts';
import { freePorts } from './ports.ts';

/** Whom the certificate is for that the edge shows for a name, or why the handshake failed. */
function certificate(
  port: number,
  servername: string | undefined,
  ca: string,
): Promise<{ names: string } | { failed: string }> {
  return new Promise((resolve) => {
    const socket = connect(
      { host: '127.0.0.1', port, ca, ...(servername !== undefined && { servername }) },
      () => {
        resolve({ names: socket.getPeerCertificate().subjectaltname ?? '' });
        socket.destroy();
      },
    );
    socket.on('error', (error: Error) => resolve({ failed: error.message }));
  });
}

const page = (
  stage: Stage,
  ca: string,
  host: string,
  path: string,
  more: { headers?: Record<string, string>; servername?: string } = {},
) => ask({ port: stage.config.ports.https, host, path, ca, ...more });

const signIn = (stage: Stage, ca: string, name: string) =>
  ask({
    port: stage.config.ports.https,
    host: `${name}.example.test`,
    path: `/${name}/login`,
    method: 'POST',
    ca,
    body: `u=${dev.login}&p=${dev.password}&g=timeline&in=Log+In`,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      referer: `https://${name}.example.test:${stage.config.ports.https}/${name}/login`,
    },
  });

/** A clone, a check-in and its push over HTTPS by the real client, which trusts just these roots. */
async function cloneAndPush(stage: Stage, ca: string, name: string, url: string): Promise<string> {
  const roots = join(stage.folder, 'roots.pem');
  writeFileSync(roots, ca);
  const options = { hosts: [`${name}.example.test`], env: { SSL_CERT_FILE: roots } };
  const work = join(stage.folder, name);
  mkdirSync(work);
  await stage.fossil(['clone', '--save-http-password', url, `${work}.fossil`], options);
  await stage.fossil(['open', `${work}.fossil`], { ...options, cwd: work });
  writeFileSync(join(work, 'a.txt'), 'a\n');
  await stage.fossil(['add', 'a.txt'], { cwd: work });
  await stage.fossil(['commit', '-m', 'over HTTPS'], { ...options, cwd: work });
  return (await page(stage, ca, `${name}.example.test`, `/${name}/timeline`)).text;
}

describe('certificates by ACME', () => {
  let stage: Stage;
  let pebble: Pebble;
  beforeAll(async () => {
    const [http = 0, https = 0] = await freePorts(2);
    pebble = await startPebble(http, https);
    stage = await startStage(
      {
        domain: 'example.test',
        email: 'admin@example.test',
        acme: { directory: pebble.directory, roots: pebble.roots },
      },
      ['alpha', 'beta'],
      { http, https },
    );
  });
  afterAll(async () => {
    await pebble[Symbol.asyncDispose]();
    await stage[Symbol.asyncDispose]();
  });

  test('the root domain and a repository get one each, really validated', async () => {
    const { https } = stage.config.ports;
    await expect
      .poll(() => certificate(https, 'example.test', pebble.authority), { timeout: 30_000 })
      .toEqual({
        names: 'DNS:example.test',
      });
    expect(await certificate(https, 'alpha.example.test', pebble.authority)).toEqual({
      names: 'DNS:alpha.example.test',
    });
    expect(pebble.log()).toMatch(/Pulled a task|authz .* set VALID/i);
    const root = await page(stage, pebble.authority, 'example.test', '/');
    const seen = JSON.parse(root.text) as { headers: Record<string, string> };
    expect(seen.headers['x-forwarded-proto']).toBe('https');
    expect(root.headers['strict-transport-security']).toBe('max-age=31536000');
  });

  test.each([
    'nope.example.test',
    'a.alpha.example.test',
    'ALPHA2.example.test',
    'xn--bcher-kva.example.test',
    `${'a'.repeat(63)}.example.test`,
    'evil.test',
    undefined,
  ])('%s gets none, and the authority never hears of it', async (name) => {
    expect(await certificate(stage.config.ports.https, name, pebble.authority)).toHaveProperty('failed');
    if (name !== undefined) {
      expect(pebble.log()).not.toContain(name);
      expect(pebble.log()).not.toContain(name.toLowerCase());
    }
  });

  test('the question whether a name may have one', async () => {
    const may = async (query: string) =>
      (await ask({ port: stage.config.ports.ask, host: '127.0.0.1', path: `/${query}` })).status;
    expect(await may('ask?domain=alpha.example.test')).toBe(200);
    for (const query of [
      'ask?domain=nope.example.test',
      'ask?domain=ALPHA.example.test',
      'ask?domain=a.alpha.example.test',
      'ask?domain=alpha.example.test.',
      'ask?domain=alpha.example.test%0a',
      'ask?domain=..%2falpha.example.test',
      'ask?domain=alphaxexample.test',
      'ask?domain=alpha.evil.test',
      'ask?domain=.example.test',
      'ask?domain=example.test',
      'ask?domain=',
      'ask',
      'other?domain=alpha.example.test',
      'ask/../other?domain=alpha.example.test',
    ])
      expect(await may(query), query).toBe(403);
  });

  test('a new repository has its certificate at the first request, without a reload', async () => {
    await stage.create('later');
    expect((await page(stage, pebble.authority, 'later.example.test', '/later/timeline')).status).toBe(200);
  });

  test('sign-in gives a secure cookie and stays on HTTPS', async () => {
    const signed = await signIn(stage, pebble.authority, 'alpha');
    expect(signed.status).toBe(302);
    expect(signed.headers.location).toBe(
      `https://alpha.example.test:${stage.config.ports.https}/alpha/timeline`,
    );
    expect(signed.headers['set-cookie']?.[0]).toMatch(/secure/i);
    expect(signed.headers['set-cookie']?.[0]).toMatch(/HttpOnly/i);
  });

  test.each(['off', 'no', ''])('a client’s own HTTPS: %s changes nothing', async (value) => {
    const headers = { HTTPS: value, 'X-Forwarded-Proto': 'http', Connection: 'close, HTTPS' };
    const { text } = await page(stage, pebble.authority, 'alpha.example.test', '/alpha/timeline', {
      headers,
    });
    expect(text).toContain('<base href="https://alpha.example.test');
  });

  test('another Host than the certificate’s name is refused', async () => {
    for (const host of [
      'beta.example.test',
      'example.test',
      'alpha.example.test.',
      'a.alpha.example.test',
      'evil.test',
      '127.0.0.1',
    ]) {
      const refused = await page(stage, pebble.authority, host, '/', { servername: 'alpha.example.test' });
      expect(refused.status, host).toBe(421);
      expect(refused.text).not.toContain('management');
    }
  });

  test('plain HTTP leads to HTTPS on its own port, for names that exist', async () => {
    const { http, https } = stage.config.ports;
    const plain = async (host: string) => ask({ port: http, host, path: '/alpha/timeline?n=1' });
    for (const host of ['alpha.example.test', 'example.test']) {
      const led = await plain(host);
      expect(led.status).toBe(308);
      expect(led.headers.location).toBe(`https://${host}:${https}/alpha/timeline?n=1`);
      expect(led.headers['strict-transport-security']).toBeUndefined();
    }
    expect((await plain('nope.example.test')).status).toBe(404);
    for (const host of ['evil.test', '127.0.0.1', 'a.alpha.example.test'])
      expect((await plain(host)).status).toBe(421);
    expect((await askRaw(http, 'GET / HTTP/1.0\r\n\r\n')).status).toBe(421);
  });

  test('the real client clones and pushes; from the plain address it is led to the right one', async () => {
    const { http, https } = stage.config.ports;
    const url = `https://dev:${dev.password}@alpha.example.test:${https}/`;
    expect(await cloneAndPush(stage, pebble.authority, 'alpha', url)).toContain('over HTTPS');
    const options = { hosts: ['beta.example.test'], env: { SSL_CERT_FILE: join(stage.folder, 'roots.pem') } };
    await stage.fossil(['clone', `http://beta.example.test:${http}/`, 'plain.fossil'], options);
    const { stdout } = await stage.fossil(['remote', '-R', 'plain.fossil']);
    expect(stdout).toContain(`https://beta.example.test:${https}/`);
  });

  test('a repository that is gone answers 404, and is no longer renewed', async () => {
    rmSync(join(stage.paths.routes, 'later'));
    expect((await page(stage, pebble.authority, 'later.example.test', '/later/timeline')).status).toBe(404);
    expect(
      (await ask({ port: stage.config.ports.ask, host: '127.0.0.1', path: '/ask?domain=later.example.test' }))
        .status,
    ).toBe(403);
  });
});

describe('certificates by the server’s own authority', () => {
  let stage: Stage;
  let root: string;
  beforeAll(async () => {
    stage = await startStage({ domain: 'example.test', tls: 'internal' }, ['alpha']);
    root = readFileSync(caddyRoot(stage.paths), 'utf8');
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  test('one for each name that exists, none for others, none for all', async () => {
    const { https } = stage.config.ports;
    await expect.poll(() => certificate(https, 'example.test', root)).toEqual({ names: 'DNS:example.test' });
    expect(await certificate(https, 'alpha.example.test', root)).toEqual({ names: 'DNS:alpha.example.test' });
    for (const name of ['nope.example.test', 'a.alpha.example.test', 'evil.test', undefined])
      expect(await certificate(https, name, root), name).toHaveProperty('failed');
  });

  test('pages, sign-in, clone and push', async () => {
    expect((await page(stage, root, 'example.test', '/')).status).toBe(200);
    expect((await signIn(stage, root, 'alpha')).headers['set-cookie']?.[0]).toMatch(/secure/i);
    const url = `https://dev:${dev.password}@alpha.example.test:${stage.config.ports.https}/`;
    expect(await cloneAndPush(stage, root, 'alpha', url)).toContain('over HTTPS');
  });
});

describe('the server’s own authority for localhost', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startStage({ domain: 'localhost', tls: 'internal' }, ['alpha']);
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  test('NAME.localhost, the path form and nothing else', async () => {
    const root = readFileSync(caddyRoot(stage.paths), 'utf8');
    const { https, repositories } = stage.config.ports;
    expect(await certificate(https, 'alpha.localhost', root)).toEqual({ names: 'DNS:alpha.localhost' });
    expect(await certificate(https, 'nope.localhost', root)).toHaveProperty('failed');
    const byPath = await ask({ port: repositories, host: 'localhost', path: '/alpha/timeline', ca: root });
    expect(byPath.status).toBe(200);
    expect(byPath.text).toContain(`<base href="https://localhost:${repositories}/alpha/timeline"`);
    const roots = join(stage.folder, 'roots.pem');
    writeFileSync(roots, root);
    const url = withLogin(repositoryUrl(stage.config, 'alpha', 'paths'), dev.login);
    const clone = ['clone', url.replace('@', `:${dev.password}@`), join(stage.folder, 'by-path.fossil')];
    await stage.fossil(clone, { env: { SSL_CERT_FILE: roots } });
  });
});

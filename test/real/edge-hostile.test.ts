import { chownSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repositoryFile } from '../../src/config/paths.ts';
import { ask, askRaw } from './edge-ask.ts';
import { dev, type Stage, startStage } from './edge-stage.ts';
import { push, signIn, valueOf, visit } from './edge-visit.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({}, ['alpha', 'beta']);
  for (const name of ['alpha', 'beta'])
    await push(
      stage,
      `http://dev:${dev.password}@localhost:${stage.config.ports.repositories}/${name}`,
      name,
      { 'a.txt': name },
      `only in ${name}`,
    );
});
afterAll(() => stage[Symbol.asyncDispose]());

describe('what is not served', () => {
  test('a name without its mark, whatever lies in the folder', async () => {
    const { repos, routes } = stage.paths;
    writeFileSync(join(repos, 'dropped.fossil'), readFileSync(repositoryFile(stage.paths, 'alpha')));
    const { uid, gid } = statSync(repos);
    chownSync(join(repos, 'dropped.fossil'), uid, gid);
    symlinkSync('/etc/passwd', join(repos, 'link.fossil'));
    writeFileSync(join(repos, 'junk.fossil'), 'abc');
    for (const name of ['dropped', 'link', 'junk', 'nope']) {
      expect((await visit(stage, `/${name}/timeline`, {}, `${name}.localhost`)).status, name).toBe(404);
      const byPath = await ask({
        port: stage.config.ports.repositories,
        host: 'localhost',
        path: `/${name}/timeline`,
      });
      expect(byPath.status, name).toBe(404);
    }
    writeFileSync(join(routes, 'dropped'), '');
    expect((await visit(stage, '/dropped/timeline', {}, 'dropped.localhost')).status).toBe(200);
    rmSync(join(routes, 'dropped'));
    expect((await visit(stage, '/dropped/timeline', {}, 'dropped.localhost')).status).toBe(404);
  });

  test('a closed name answers 503 to everybody, with what to do', async () => {
    stage.close('alpha');
    try {
      for (const path of ['/', '/alpha/timeline', '/alpha/setup']) {
        const closed = await visit(stage, path);
        expect(closed.status).toBe(503);
        expect(closed.headers['retry-after']).toBe('2');
        expect(closed.text).toBe('alpha is being worked on; nothing is lost; try again in a few seconds.');
      }
      const byPath = await ask({
        port: stage.config.ports.repositories,
        host: 'localhost',
        path: '/alpha/timeline',
      });
      expect(byPath.status).toBe(503);
      const refused = await stage.fossil(['sync', '-R', join(stage.folder, 'alpha.fossil')], { accept: [1] });
      expect(refused.stdout + refused.stderr).toContain('503');
      expect((await visit(stage, '/beta/timeline', {}, 'beta.localhost')).status).toBe(200);
    } finally {
      stage.open('alpha');
    }
    expect((await visit(stage, '/alpha/timeline')).status).toBe(200);
  });

  test.each([
    'alpha.localhost.',
    'a.alpha.localhost',
    '..%2falpha.localhost',
    'evil.test',
    '127.0.0.1',
    '[::1]',
    'alphalocalhost',
    'alpha.localhost.evil.test',
    'xn--alph-8qa.localhost',
    '[a-z]lpha.localhost',
    'ALPHA.localhost',
    '-alpha.localhost',
    'alpha-.localhost',
    'al_pha.localhost',
    '*.localhost',
    '.localhost',
    'alph?.localhost',
    '../alpha.localhost',
    'alpha.localhost/../beta',
    'al pha.localhost',
    'alpha.localhost@evil.test',
    '',
    `${'a'.repeat(64)}.localhost`,
    `${'a'.repeat(3000)}.localhost`,
    `${'a'.repeat(30_000)}.localhost`,
    'localhost%00',
    'alpha%00.localhost',
  ])('host %#: %s', async (host) => {
    const { status, text } = await askRaw(
      stage.config.ports.http,
      `GET /alpha/timeline HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect([400, 404, 421, 431]).toContain(status);
    expect(text).not.toContain('<html');
    expect(text).not.toContain('management');
  });

  test('two Hosts, none, and none in HTTP/1.0', async () => {
    const { http } = stage.config.ports;
    const two = 'GET /alpha/timeline HTTP/1.1\r\nHost: alpha.localhost\r\nHost: beta.localhost\r\n\r\n';
    expect((await askRaw(http, two)).status).toBe(400);
    expect((await askRaw(http, 'GET /alpha/timeline HTTP/1.1\r\n\r\n')).status).toBe(400);
    expect((await askRaw(http, 'GET /alpha/timeline HTTP/1.0\r\n\r\n')).status).toBe(421);
  });

  test.each([
    '/alpha/..%2f..%2fetc/passwd',
    '/..%2f..%2fetc/passwd',
    '/../../etc/passwd',
    '/alpha/../../etc/passwd',
    '/alpha/../beta/timeline',
    '/alpha%2F..%2Fbeta/timeline',
    '/alpha/doc/tip/..%2f..%2f..%2fetc/passwd',
    '/alpha/doc/tip/../../../../etc/passwd',
    '/alpha/raw/../../etc/passwd',
    '/alpha.fossil',
    '/alpha/alpha.fossil',
    '/beta/timeline',
    '//beta/timeline',
    '/%00',
    '/alpha/%00',
    '/alpha/timeline%00',
    '/alpha\\..\\beta',
    '/%c0%ae%c0%ae/etc/passwd',
    '/%252e%252e/etc/passwd',
    '/dropped.fossil',
  ])('path %s', async (path) => {
    const { http } = stage.config.ports;
    const get = (target: string) =>
      askRaw(http, `GET ${target} HTTP/1.1\r\nHost: alpha.localhost\r\nConnection: close\r\n\r\n`);
    let answer = await get(path);
    for (let hops = 0; [301, 302, 308].includes(answer.status) && hops < 4; hops++) {
      const location = /^Location: (?:http:\/\/alpha\.localhost)?(\S*)/im.exec(answer.text)?.[1] ?? '';
      expect(location).toMatch(/^\/alpha\//);
      if (/\/login\?|\/alpha\/index$/.test(location)) return;
      answer = await get(location);
    }
    // To Fossil 2.26 a name ends there.
    expect(path === '/alpha/timeline%00' ? [200, 400, 404] : [400, 404]).toContain(answer.status);
    expect(answer.text).not.toMatch(/root:|only in beta/);
  });

  test.each([
    '/alpha/admin_sql',
    '/alpha/admin_th1',
    '/alpha/admin_log',
    '/alpha/setup',
    '/alpha/setup?x=1',
    '/alpha/setup/',
    '/alpha/setup_ulist',
    '/alpha/setup_uedit?id=1',
    '/alpha/setup_login_group',
    '/alpha/test_env',
    '/alpha/test-captcha',
    '/alpha/xfersetup',
    '/alpha/xfersetup_push',
    '/alpha/tktsetup_com',
    '/alpha/shun',
    '/alpha/errorlog',
    '/alpha/SETUP',
    '/alpha/%73etup',
    '/alpha/setup%5fulist',
    '/alpha//setup',
    '/alpha/setup/../timeline',
    '/alpha/setup%2f..%2ftimeline',
    '/alpha/register',
  ])('%s is shut for everybody', async (path) => {
    const [cookie = ''] = (await signIn(stage, 'alpha')).headers['set-cookie'] ?? [];
    const [pair = ''] = cookie.split(';');
    for (const method of ['GET', 'POST']) {
      const shut = await ask({
        port: stage.config.ports.http,
        host: 'alpha.localhost',
        path,
        method,
        headers: { cookie: pair },
        ...(method === 'POST' && { body: 'x=1' }),
      });
      expect(shut.status, method).toBe(403);
    }
    const bare = await ask({
      port: stage.config.ports.http,
      host: 'alpha.localhost',
      path: path.slice('/alpha'.length),
      method: 'POST',
      body: 'x=1',
    });
    expect(bare.status).toBe(403);
  });

  test('other methods and bodies without a length', async () => {
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH', 'CONNECT'])
      expect(
        (
          await askRaw(
            stage.config.ports.http,
            `${method} /alpha/timeline HTTP/1.1\r\nHost: alpha.localhost\r\nConnection: close\r\n\r\n`,
          )
        ).status,
        method,
      ).toBeGreaterThanOrEqual(400);
    const chunked = await askRaw(
      stage.config.ports.http,
      'POST /alpha/login HTTP/1.1\r\nHost: alpha.localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nu=dev\r\n0\r\n\r\n',
    );
    expect(chunked.status).toBe(411);
  });
});

describe('headers that only a proxy may send', () => {
  test('HTTPS does not make a plain page think it is encrypted', async () => {
    const { text } = await visit(stage, '/alpha/timeline', {
      HTTPS: 'on',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'proto=https',
    });
    expect(text).toContain(`<base href="http://alpha.localhost:`);
  });

  test('REMOTE_USER and its relatives sign nobody in', async () => {
    for (const name of ['REMOTE_USER', 'Remote-User', 'X-Remote-User', 'HTTP_REMOTE_USER'])
      expect((await visit(stage, '/alpha/timeline', { [name]: dev.login })).text, name).not.toContain(
        '/logout',
      );
  });

  test('the sender’s address is the real one, also when the client names others or has Caddy drop the header', async () => {
    for (const headers of [
      { 'X-Forwarded-For': '9.9.9.9' },
      { X_Forwarded_For: '9.9.9.9', 'X-Real-IP': '9.9.9.9' },
      { 'X-Forwarded-For': '9.9.9.9', Connection: 'close, X-Forwarded-For' },
    ]) {
      const signed = await signIn(stage, 'beta', { headers });
      expect(signed.status).toBe(302);
      expect(valueOf(stage, 'beta', "SELECT ipaddr FROM user WHERE login='dev'") ?? '').not.toContain('9.9');
    }
    await stage.fossil(['sync', '-R', join(stage.folder, 'beta.fossil')]);
    expect(valueOf(stage, 'beta', 'SELECT ipaddr FROM rcvfrom ORDER BY rcvid DESC')).toMatch(
      /^(127\.0\.0\.1|::1)$/,
    );
    const { text } = await visit(
      stage,
      '/',
      { 'X-Forwarded-For': '9.9.9.9', Connection: 'close, X-Forwarded-For' },
      'localhost',
    );
    const seen = JSON.parse(text) as { headers: Record<string, string> };
    expect(seen.headers['x-forwarded-for']).toBe('127.0.0.1');
    expect(seen.headers['x-forwarded-proto']).toBe('http');
  });

  test('the management sees none of them', async () => {
    const sent = {
      HTTPS: 'on',
      'X-Fossil-Repo': 'x',
      'Remote-User': 'admin',
      REMOTE_USER: 'admin',
      'X-Real-IP': '1.1.1.1',
      X_Fossil_Repo: 'x',
    };
    const { text } = await visit(stage, '/', sent, 'localhost');
    const { headers } = JSON.parse(text) as { headers: Record<string, string> };
    const left = Object.keys(headers).filter((name) => /^(https|x.fossil|remote|x-real|x_)/.test(name));
    expect(left).toEqual([]);
  });
});

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from './edge-ask.ts';
import { dev, type Stage, startStage } from './edge-stage.ts';
import { push, signIn, valueOf, visit } from './edge-visit.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage({}, ['alpha', 'beta']);
});
afterAll(() => stage[Symbol.asyncDispose]());

const blob = randomBytes(3_000_000);
const oddName = 'dir/c++ x/a+b 100%.txt';
/** As odd as Fossil 2.26 serves it as a page. */
const oddPage = 'a b/größe (x).txt';

describe('a repository at NAME.localhost', () => {
  test('is cloned and pushed to by the real client', async () => {
    const url = `http://${dev.login}:${dev.password}@alpha.localhost:${stage.config.ports.http}/`;
    const work = await push(
      stage,
      url,
      'alpha',
      { 'blob.bin': blob, [oddName]: 'odd\n', [oddPage]: 'odd\n' },
      'first',
    );
    await stage.fossil(['sync'], { cwd: work });
    expect(valueOf(stage, 'alpha', "SELECT count(*) FROM event WHERE type='ci'")).toBe(2);
    const { stdout } = await stage.fossil(['remote'], { cwd: work });
    expect(stdout).not.toContain('/alpha/');
  });

  test.each(['/index', '/timeline', '/dir', '/wiki?name=x', '/brlist', '/ticket', '/login', '/style.css'])(
    '%s redirects to its prefixed form, which answers',
    async (path) => {
      const bare = await visit(stage, path);
      expect(bare.status).toBe(308);
      expect(bare.headers.location).toBe(`/alpha${path}`);
      const prefixed = await visit(stage, `/alpha${path}`);
      expect([200, 302]).toContain(prefixed.status);
      expect(prefixed.headers['x-content-type-options']).toBe('nosniff');
      expect(prefixed.headers['referrer-policy']).toBe('strict-origin-when-cross-origin');
      expect(prefixed.headers['strict-transport-security']).toBeUndefined();
    },
  );

  test('links of a page lead to answers', async () => {
    const { text } = await visit(stage, '/alpha/timeline');
    const links = [
      ...new Set([...text.matchAll(/href=['"](\/alpha\/[^'"#]*)/g)].map(([, link = '']) => link)),
    ];
    expect(links.length).toBeGreaterThan(5);
    for (const link of links)
      expect([200, 302], link).toContain((await visit(stage, link.replaceAll('&amp;', '&'))).status);
  });

  test('odd file names, ranges, zip and tarball arrive whole', async () => {
    const raw = (name: string) => `/alpha/raw?ci=trunk&filename=${encodeURIComponent(name)}`;
    const encoded = oddPage.split('/').map(encodeURIComponent).join('/');
    expect((await visit(stage, raw(oddName))).text).toBe('odd\n');
    expect((await visit(stage, `/alpha/doc/trunk/${encoded}`)).text).toContain('\nodd\n');
    const whole = await visit(stage, raw('blob.bin'));
    expect(createHash('sha256').update(whole.body).digest('hex')).toBe(
      createHash('sha256').update(blob).digest('hex'),
    );
    const part = await visit(stage, raw('blob.bin'), { range: 'bytes=1000-1999' });
    expect(part.status).toBe(206);
    expect(part.body.equals(blob.subarray(1000, 2000))).toBe(true);
    const zip = join(stage.folder, 'a.zip');
    const zipped = await visit(stage, '/alpha/zip/trunk/a.zip');
    writeFileSync(zip, zipped.body);
    expect(zipped.headers['content-type']).toContain('zip');
    const tar = join(stage.folder, 'a.tar.gz');
    writeFileSync(tar, (await visit(stage, '/alpha/tarball/trunk/a.tar.gz')).body);
    expect(execFileSync('tar', ['tzf', tar]).toString()).toContain('blob.bin');
    expect(zipped.body.subarray(0, 2).toString()).toBe('PK');
    expect(zipped.body.includes('blob.bin')).toBe(true);
  });

  test('compression is Fossil’s own, once, and a page that did not change is not sent again', async () => {
    const packed = await visit(stage, '/alpha/timeline', { 'accept-encoding': 'gzip, zstd, br' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    const unpacked = execFileSync('gzip', ['-dc'], { input: packed.body }).toString();
    expect(unpacked).toContain('<html');
    const plain = await visit(stage, '/alpha/timeline', { 'accept-encoding': 'identity' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    const file = '/alpha/raw?ci=trunk&filename=blob.bin';
    const first = await visit(stage, file, { 'accept-encoding': 'zstd' });
    expect(first.headers['content-encoding']).toBeUndefined();
    const { etag } = first.headers;
    expect(etag).toBeDefined();
    const again = await visit(stage, file, {
      'if-none-match': etag ?? '',
      'accept-encoding': 'zstd',
    });
    expect(again.status).toBe(304);
  });

  test('sign-in works, and only for that repository', async () => {
    const signed = await signIn(stage, 'alpha');
    expect(signed.status).toBe(302);
    expect(signed.headers.location).toBe(`http://alpha.localhost:${stage.config.ports.http}/alpha/timeline`);
    const [cookie = ''] = signed.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/Path=\/alpha/i);
    const [pair = ''] = cookie.split(';');
    expect((await visit(stage, '/alpha/timeline', { cookie: pair })).text).toContain(`/logout`);
    expect((await visit(stage, '/beta/timeline', { cookie: pair }, 'beta.localhost')).text).not.toContain(
      '/logout',
    );
  });

  test('a form sent to the bare path reaches its page', async () => {
    const sent = await signIn(stage, 'alpha', { path: '/login' });
    expect(sent.status).toBe(302);
    expect(sent.headers['set-cookie']?.[0]).toContain('fossil-');
  });
});

describe('the path form, where NAME.localhost does not resolve', () => {
  test('clones, pushes and shows pages', async () => {
    const { repositories: port } = stage.config.ports;
    const url = `http://${dev.login}:${dev.password}@localhost:${port}/beta`;
    await push(stage, url, 'beta', { 'a.txt': 'a\n' }, 'by path');
    expect(valueOf(stage, 'beta', "SELECT count(*) FROM event WHERE type='ci'")).toBe(2);
    const shown = await ask({ port, host: 'localhost', path: '/beta/timeline' });
    expect(shown.status).toBe(200);
    expect(shown.text).toContain('by path');
    const first = await ask({ port, host: 'localhost', path: '/beta' });
    expect(first.headers.location).toBe(`http://localhost:${port}/beta/index`);
  });

  test.each([
    ['/', 404],
    ['/nope', 404],
    ['/nope/timeline', 404],
    ['/timeline', 404],
    ['/beta.fossil', 404],
    ['/BETA/timeline', 404],
    ['/%62eta/timeline', 404],
    ['/beta%2Ftimeline', 404],
    ['/beta%2F..%2Falpha/timeline', 404],
    ['//beta/timeline', 404],
    ['/./beta/timeline', 404],
    ['/../repos/beta/timeline', 404],
    ['/beta/../alpha/timeline', 404],
    ['/beta/admin_sql', 403],
  ])('%s answers %i', async (path, status) => {
    const { text, ...answer } = await ask({ port: stage.config.ports.repositories, host: 'localhost', path });
    expect(answer.status).toBe(status);
    expect(text).not.toContain('management');
  });

  test('is not on the root domain’s own port, nor on other names', async () => {
    const root = await visit(stage, '/beta/timeline', {}, 'localhost');
    expect(JSON.parse(root.text)).toMatchObject({ management: true, path: '/beta/timeline' });
    for (const host of ['127.0.0.1', 'evil.test', 'alpha.localhost'])
      expect(
        (await ask({ port: stage.config.ports.repositories, host, path: '/beta/timeline' })).status,
      ).toBe(421);
  });
});

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { renderCaddyfile } from '../../src/plan/caddyfile.ts';
import { renderTemplate } from '../../src/plan/template.ts';
import {
  caddyReload,
  caddyRun,
  caddyValidate,
  caddyVersion,
  oldestCaddy,
  readCaddyVersion,
} from '../../src/programs/caddy.ts';

const template = readFileSync(resolve(import.meta.dirname, '../../templates/Caddyfile'), 'utf8');
const paths = pathsUnder('/');
const render = (yaml: string, root = '/') =>
  renderCaddyfile(template, parseConfig(yaml, pathsUnder(root)), pathsUnder(root));
const lines = (text: string) => text.split('\n').map((line) => line.trim());

/** The addresses of the sites, in their order. */
const sites = (text: string) => [...text.matchAll(/^(https?:\S*) \{$/gm)].map(([, site]) => site);

describe('the edge’s configuration', () => {
  test('localhost: plain HTTP, and the path form on a port of its own', () => {
    const text = render('');
    expect(sites(text)).toEqual([
      'http://localhost',
      'http://*.localhost',
      'http://localhost:81',
      'http://:81',
      'http://',
    ]);
    expect(lines(text)).toContain('default_bind 127.0.0.1 [::1]');
    expect(lines(text)).toContain('auto_https off');
    expect(text).not.toContain('header_up HTTPS');
    expect(text).not.toContain('Strict-Transport-Security');
    expect(text).not.toContain('on_demand');
  });

  test('a public domain: certificates for names that exist, redirects, no path form', () => {
    const text = render('domain: forge.example.com\nemail: me@example.com');
    expect(sites(text)).toEqual([
      'https://forge.example.com',
      'https://*.forge.example.com',
      'http://forge.example.com',
      'http://*.forge.example.com',
      'http://:21101',
      'https://',
      'http://',
    ]);
    expect(lines(text)).toContain(
      'import name {host} "^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\\.forge\\.example\\.com$"',
    );
    expect(lines(text)).toContain('redir * https://{host}{uri} 308');
    expect(lines(text)).toContain('header_up HTTPS on');
    expect(lines(text)).toContain('email me@example.com');
    expect(text).not.toContain('default_bind');
    expect(text).not.toContain('acme_ca');
    expect(text).toContain('Strict-Transport-Security');
  });

  test('what the operator chose', () => {
    const text = render(
      [
        'domain: forge.example.com',
        'listen: [192.0.2.1, "2001:db8::1"]',
        'ports: {http: 8080, https: 8443, fossil: 3000, ask: 3001}',
        'acme: {directory: "https://ca.example.com/dir", roots: /etc/ssl/ca.pem}',
        'repositories: {push: 10}',
      ].join('\n'),
    );
    for (const line of [
      'default_bind 192.0.2.1 [2001:db8::1]',
      'http_port 8080',
      'https_port 8443',
      'redir * https://{host}:8443{uri} 308',
      'reverse_proxy 127.0.0.1:3000 {',
      'ask http://127.0.0.1:3001/ask',
      'acme_ca "https://ca.example.com/dir"',
      'acme_ca_root "/etc/ssl/ca.pem"',
    ])
      expect(lines(text)).toContain(line);
    expect(text).toContain('import limit sync 10485760 "One request of a push can have 10 MiB here');
  });

  test.each([
    ['["0.0.0.0"]', 'default_bind tcp4/0.0.0.0'],
    ['["::"]', 'default_bind tcp6/[::]'],
  ])('listen: %s means just that family', (listen, line) => {
    expect(lines(render(`domain: forge.example.com\nlisten: ${listen}`))).toContain(line);
  });

  test('its own authority: each name by itself, HSTS never', () => {
    const text = render('domain: forge.example.com\ntls: internal');
    expect(text.match(/issuer internal/g)).toHaveLength(3);
    expect(text).not.toContain('Strict-Transport-Security');
  });

  test('no TLS on a domain', () => {
    expect(sites(render('domain: forge.example.com\ntls: off'))).toEqual([
      'http://forge.example.com',
      'http://*.forge.example.com',
      'http://',
    ]);
  });

  test('every path is below the root', () => {
    const text = render('', '/tmp/a b');
    for (const path of [
      'admin "unix//tmp/a b/run/fossilrepo/edge/admin.sock"',
      'storage file_system "/tmp/a b/var/lib/fossilrepo/home/edge"',
      'root "/tmp/a b/data/routes"',
      'root "/tmp/a b/run/fossilrepo/closed"',
      'reverse_proxy "unix//tmp/a b/run/fossilrepo/serve/http.sock" {',
    ])
      expect(lines(text)).toContain(path);
  });

  test.each(['/tmp/a"b', '/tmp/{env.HOME}', '/tmp/a*', '/tmp/a\nb', '/tmp/a`b', '/tmp/[a]'])(
    'refuses the folder %j, which Caddy would read otherwise',
    (root) => {
      expect(() => render('', root)).toThrow(/can't hold/);
    },
  );

  test('refuses a URL with placeholders', () => {
    expect(() => render('domain: forge.example.com\nacme: {directory: "https://ca.test/{env.X}"}')).toThrow(
      /can't hold/,
    );
  });
});

describe('templates', () => {
  test('a value that is not there is an error', () => {
    expect(() => renderTemplate('a <%= it.b %>', {})).toThrow(/it\.b/);
    expect(() => renderTemplate('a <%= it.b.c %>', { b: { c: undefined } })).toThrow(/it\.b\.c/);
    expect(() => renderTemplate('a <%= it.b %>', { b: null })).toThrow(/it\.b/);
  });

  test('values are written as they are, and line ends stay', () => {
    expect(renderTemplate('<%= it.a %>\n<% if (it.b) { -%>\nb\n<% } -%>\nc\n', { a: `<&"'`, b: true })).toBe(
      `<&"'\nb\nc\n`,
    );
  });
});

describe('Caddy’s command lines', () => {
  test('run, validate, reload, version', () => {
    expect(caddyRun(paths, '/c').argv).toEqual([
      '/c',
      'run',
      '--adapter',
      'caddyfile',
      '--config',
      '/etc/fossilrepo/rendered/Caddyfile',
    ]);
    expect(caddyRun(paths, '/c').env).toEqual({
      HOME: '/var/lib/fossilrepo/home/edge',
      XDG_DATA_HOME: '/var/lib/fossilrepo/home/edge/data',
      XDG_CONFIG_HOME: '/var/lib/fossilrepo/home/edge/config',
    });
    expect(caddyValidate(paths, '/c', '/f').argv).toEqual([
      '/c',
      'validate',
      '--adapter',
      'caddyfile',
      '--config',
      '/f',
    ]);
    expect(caddyReload('/c', '/f', '/run/s').argv).toEqual([
      ...['/c', 'reload', '--force', '--adapter', 'caddyfile', '--config', '/f', '--address', 'unix//run/s'],
    ]);
    expect(caddyVersion('/c').argv).toEqual(['/c', 'version']);
  });

  test.each([
    ['v2.11.7 h1:yj0Y4fYZGPkSvibBJ1sTWE33xC0fxztVyXEW5iIdUT4=', '2.11.7'],
    ['2.6.2\n', '2.6.2'],
    ['v2.12.0-beta.1 h1:x=', '2.12.0'],
  ])('reads %s', (stdout, version) => expect(readCaddyVersion(stdout)).toBe(version));

  test('says what is needed when there is no version', () => {
    expect(() => readCaddyVersion('(devel)')).toThrow(/can't be read/);
    expect(oldestCaddy).toMatch(/^2\.11\./);
  });
});

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { caddyReload } from '../../src/programs/caddy.ts';
import { run } from '../../src/system/run.ts';
import { ask, askRaw } from './edge-ask.ts';
import { dev, type Stage, startStage } from './edge-stage.ts';
import { push, valueOf, visit } from './edge-visit.ts';

let stage: Stage;
let work: string;
const blob = randomBytes(20_000_000);
beforeAll(async () => {
  stage = await startStage({ repositories: { push: 300 } }, ['alpha', 'beta']);
  const url = `http://dev:${dev.password}@alpha.localhost:${stage.config.ports.http}/`;
  work = await push(stage, url, 'alpha', { 'blob.bin': blob }, 'first');
});
afterAll(() => stage[Symbol.asyncDispose]());

describe('limits', () => {
  /**
   * What is too large by its own declaration is refused before it comes. Only as much is sent as Caddy reads before it
   * answers (Go's 256 KiB): a client that was still sending could lose the answer to the reset that follows.
   */
  const declared = (host: string, path: string, type: string, size: number, port = stage.config.ports.http) =>
    askRaw(
      port,
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${type}\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(2 ** 18 + 1)}`,
    );

  test('the root domain takes 1 MB', async () => {
    const { http: port } = stage.config.ports;
    const body = Buffer.alloc(900_000);
    const taken = await ask({ port, host: 'localhost', path: '/size', method: 'POST', body });
    expect(taken.text).toBe('900000');
    expect((await declared('localhost', '/size', 'text/plain', 1_000_001)).status).toBe(413);
  });

  test('a page takes 64 MiB, a push what is configured, headers 16 kB', async () => {
    const form = 'application/x-www-form-urlencoded';
    const page = await declared('alpha.localhost', '/alpha/login', form, 64 * 2 ** 20 + 1);
    expect(page.status).toBe(413);
    expect(page.text).toContain('A page takes 64 MiB.');
    const sync = await declared('alpha.localhost', '/', 'application/x-fossil', 300 * 2 ** 20 + 1);
    expect(sync.status).toBe(413);
    expect(sync.text).toContain('300 MiB');
    const byPath = await declared(
      'localhost',
      '/alpha',
      'application/x-fossil',
      4e8,
      stage.config.ports.repositories,
    );
    expect(byPath.status).toBe(413);
    const body = Buffer.alloc(60 * 2 ** 20, 'a');
    const headers = { 'content-type': form };
    const { http: port } = stage.config.ports;
    const taken = await ask({
      port,
      host: 'alpha.localhost',
      path: '/alpha/login',
      method: 'POST',
      body,
      headers,
    });
    expect(taken.status).toBe(200);
    expect((await visit(stage, '/alpha/timeline', { cookie: 'a'.repeat(40_000) })).status).toBe(431);
  });

  test('a client that connects and packs its push only then is waited for', async () => {
    const socket = connect(stage.config.ports.http, '127.0.0.1');
    await sleep(12_000);
    socket.write('GET /alpha/timeline HTTP/1.1\r\nHost: alpha.localhost\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 200/);
  });

  test('a push of 200 MB arrives; one over the limit is told so', async () => {
    writeFileSync(join(work, 'large.bin'), randomBytes(200_000_000));
    await stage.fossil(['add', 'large.bin'], { cwd: work });
    await stage.fossil(['commit', '-m', 'large', '--no-warnings'], { cwd: work });
    expect(valueOf(stage, 'alpha', "SELECT count(*) FROM event WHERE type='ci' AND comment='large'")).toBe(1);
    expect(valueOf(stage, 'alpha', 'SELECT max(size) FROM blob')).toBe(200_000_000);
    writeFileSync(join(work, 'larger.bin'), randomBytes(310 * 2 ** 20));
    await stage.fossil(['add', 'larger.bin'], { cwd: work });
    const { stdout, stderr } = await stage.fossil(['commit', '-m', 'too large', '--no-warnings'], {
      cwd: work,
    });
    expect(stdout + stderr).toContain('413');
    expect(valueOf(stage, 'alpha', "SELECT count(*) FROM event WHERE comment='too large'")).toBe(0);
    expect((await visit(stage, '/alpha/timeline')).status).toBe(200);
  }, 240_000);

  test('40 slow clients do not keep another repository waiting', async () => {
    const { http } = stage.config.ports;
    const slow = Array.from({ length: 40 }, (_, index) => {
      const socket = connect(http, '127.0.0.1');
      socket.on('error', () => undefined);
      const start = index % 2 ? 'GET /alpha/raw/blob.bin?ci=trunk' : 'POST /alpha/login';
      socket.write(
        `${start} HTTP/1.1\r\nHost: alpha.localhost\r\nContent-Length: ${index % 2 ? 0 : 5000}\r\n\r\n`,
      );
      socket.pause();
      return socket;
    });
    await sleep(1000);
    const started = performance.now();
    expect((await visit(stage, '/beta/timeline', {}, 'beta.localhost')).status).toBe(200);
    expect(performance.now() - started).toBeLessThan(5000);
    for (const socket of slow) socket.destroy();
  });
});

describe('parts that are down', () => {
  test('the root domain says so while the management is away, repositories go on', async () => {
    await stage.stop('management');
    const down = await visit(stage, '/', {}, 'localhost');
    expect(down.status).toBe(503);
    expect(down.text).toContain('not running');
    expect(down.headers['x-content-type-options']).toBe('nosniff');
    expect((await visit(stage, '/alpha/timeline')).status).toBe(200);
    await stage.start('management');
    await expect.poll(async () => (await visit(stage, '/', {}, 'localhost')).status).toBe(200);
  });

  test('a page waits out a restart of Fossil, and is told when it lasts', async () => {
    await stage.stop('fossil');
    const waiting = visit(stage, '/alpha/timeline');
    await sleep(300);
    await stage.start('fossil');
    expect((await waiting).status).toBe(200);
    await stage.stop('fossil');
    const down = await visit(stage, '/alpha/timeline');
    expect(down.status).toBe(503);
    expect(down.text).toContain('does not answer');
    expect((await visit(stage, '/', {}, 'localhost')).status).toBe(200);
    await stage.start('fossil');
  });

  test('a reload lets requests under way finish, and a wrong file changes nothing', async () => {
    const { config, paths } = stage;
    const socket = connect(config.ports.http, '127.0.0.1');
    socket.write(
      'GET /alpha/raw/blob.bin?ci=trunk HTTP/1.1\r\nHost: alpha.localhost\r\nConnection: close\r\n\r\n',
    );
    socket.pause();
    await sleep(300);
    await run(caddyReload(config.programs.caddy, paths.caddyfile, paths.edgeSocket));
    // Longer than the grace period.
    await sleep(5000);
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    expect(received).toBeGreaterThan(blob.length);
    const wrong = join(stage.folder, 'Wrong');
    writeFileSync(wrong, readFileSync(paths.caddyfile, 'utf8').replace('reverse_proxy', 'reverse_prox'));
    await expect(run(caddyReload(config.programs.caddy, wrong, paths.edgeSocket))).rejects.toThrow(
      /reverse_prox/,
    );
    expect((await visit(stage, '/alpha/timeline')).status).toBe(200);
  });

  test('Caddy stops within 5 s, also while somebody downloads slowly', async () => {
    const socket = connect(stage.config.ports.http, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /alpha/raw/blob.bin?ci=trunk HTTP/1.1\r\nHost: alpha.localhost\r\n\r\n');
    socket.pause();
    await sleep(500);
    const started = performance.now();
    await stage.stop('caddy', 'SIGTERM');
    expect(performance.now() - started).toBeLessThan(5000);
    socket.destroy();
    await stage.start('caddy');
    expect((await visit(stage, '/alpha/timeline')).status).toBe(200);
  });

  test('the log is JSON without anybody’s tokens', async () => {
    await stage.stop('fossil');
    await visit(stage, '/alpha/timeline?token=sesame-1', {
      cookie: 'fossil-x=sesame-2',
      authorization: 'Basic sesame-3',
    });
    await stage.start('fossil');
    const lines = stage.log().trim().split('\n');
    for (const line of lines) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    expect(stage.log()).toContain('connection refused');
    expect(stage.log()).not.toContain('sesame');
    expect(existsSync(join(stage.paths.edgeHome, 'config/caddy/autosave.json'))).toBe(false);
  });
});

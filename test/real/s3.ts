import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment } from '../../src/system/run.ts';

const rclone = resolve(import.meta.dirname, '../../embedded/programs/bin/rclone');

export type S3 = {
  endpoint: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** The bucket's folder: each object is a file in it. */
  folder: string;
  /** Ends the server, as an outage would: connections are refused. */
  stop(): Promise<void>;
  /** Starts it again on the same port over the same objects. */
  start(): Promise<void>;
  /** Starts it again with other keys; the former ones are refused from then on. */
  rotate(): Promise<Pick<S3, 'accessKeyId' | 'secretAccessKey'>>;
  /** Ends the server and removes its objects. */
  [Symbol.asyncDispose](): Promise<void>;
};

/** A real S3 server, `rclone serve s3`, with one bucket and one pair of keys, on a free port over a temporary folder. */
export async function startS3(): Promise<S3> {
  const root = mkdtempSync(join(tmpdir(), 'fossilrepo-s3-'));
  const bucket = 'forge';
  const folder = join(root, bucket);
  mkdirSync(folder);
  const port = await freePort();
  let keys = { accessKeyId: 'TESTKEY', secretAccessKey: 'test-secret' };
  let rotations = 0;
  let server: ChildProcess | undefined;

  async function stop(): Promise<void> {
    const ended = server;
    server = undefined;
    if (ended?.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, 'exit');
    ended.kill('SIGKILL');
    await exit;
  }

  async function start(): Promise<void> {
    // With `--dir-cache-time 0s` each request waits seconds for a directory; so what is changed in the folder by hand shows after a restart only.
    const options = ['--addr', `127.0.0.1:${port}`, '--vfs-cache-mode', 'off', '--config', '/dev/null'];
    server = spawn(rclone, ['serve', 's3', ...options, root], {
      env: { ...cleanEnvironment(), RCLONE_AUTH_KEY: `"${keys.accessKeyId},${keys.secretAccessKey}"` },
      stdio: 'ignore',
    });
    await once(server, 'spawn');
    await answers(`http://127.0.0.1:${port}/`);
  }

  await start();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    ...keys,
    folder,
    stop,
    start,
    rotate: async () => {
      rotations += 1;
      keys = { accessKeyId: `TESTKEY${rotations}`, secretAccessKey: `test-secret-${rotations}` };
      await stop();
      await start();
      return keys;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return;
    await sleep(50);
  }
  throw new Error(`${url} does not answer`);
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

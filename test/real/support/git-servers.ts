import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment, run } from '../../../src/system/run.ts';
import { freePort } from '../ports.ts';

/** Who may do what over HTTP: `read` may fetch only. */
export type HttpLogins = Readonly<Record<string, { password: string; may: 'read' | 'push' }>>;

/** Git's own server side for HTTP, `git http-backend`, as CGI behind basic authentication. */
export async function startGitHttp(
  repositories: string,
  logins: HttpLogins,
  options: { https?: boolean } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'git-http-'));
  /** What requests asked for, with what they said in their Authorization header. */
  const asked: { url: string; authorization: string | undefined }[] = [];
  let sendOn: string | undefined;
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { authorization } = request.headers;
    asked.push({ url: request.url ?? '', authorization });
    if (sendOn !== undefined) {
      response.writeHead(301, { location: `${sendOn}${request.url}` }).end();
      return;
    }
    const [login = '', password] = Buffer.from(authorization?.split(' ')[1] ?? '', 'base64')
      .toString()
      .split(/:(.*)/s);
    const known = logins[login];
    if (!known || known.password !== password) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    if (known.may === 'read' && /git-receive-pack/.test(request.url ?? '')) {
      response.writeHead(403).end('This login may only read.');
      return;
    }
    cgi(repositories, login, request, response);
  };
  const server = options.https === true ? createHttps(await certificate(folder), answer) : createHttp(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: (name: string) =>
      `${options.https === true ? 'https://localhost' : 'http://127.0.0.1'}:${port}/${name}`,
    port,
    asked,
    /** PEM file of the authority that signed its certificate. */
    roots: join(folder, 'certificate.pem'),
    /** From now on every request is sent on to another server. */
    redirect: (to: string | undefined) => void (sendOn = to),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function cgi(repositories: string, login: string, request: IncomingMessage, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...cleanEnvironment(),
      GIT_PROJECT_ROOT: repositories,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      HTTP_GIT_PROTOCOL: request.headers['git-protocol']?.toString(),
      REMOTE_USER: login,
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  let begun = false;
  child.stdout.on('data', (piece: Buffer) => {
    if (begun) {
      response.write(piece);
      return;
    }
    head = Buffer.concat([head, piece]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    begun = true;
    const fields = head.subarray(0, end).toString().split('\r\n');
    const headers = fields.map((field): [string, string] => {
      const cut = field.indexOf(':');
      return [field.slice(0, cut), field.slice(cut + 1).trim()];
    });
    const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200';
    response.writeHead(
      Number(status.slice(0, 3)),
      Object.fromEntries(headers.filter(([name]) => name !== 'Status')),
    );
    response.write(head.subarray(end + 4));
  });
  child.on('close', () => response.end());
}

/** A key and a certificate for `localhost`, as files in a folder. */
export async function certificate(folder: string): Promise<{ key: Buffer; cert: Buffer }> {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await run({
    argv: [
      ...(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'] as const),
      ...['-days', '2', '-keyout', key, '-out', cert, ...subject],
    ],
  });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/** A real sshd on loopback with a host key of its own; whoever has an authorized key gets git's own shell and nothing else. */
export async function startSshd() {
  const folder = mkdtempSync(join(tmpdir(), 'git-sshd-'));
  const port = await freePort();
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const authorized = join(folder, 'authorized_keys');
  writeFileSync(authorized, '', { mode: 0o600 });
  const hostKey = async (): Promise<void> => {
    rmSync(join(folder, 'host'), { force: true });
    rmSync(join(folder, 'host.pub'), { force: true });
    await run({ argv: ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'host')] });
  };
  await hostKey();
  const config = join(folder, 'sshd_config');
  writeFileSync(
    config,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(folder, 'host')}`,
      `AuthorizedKeysFile ${authorized}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'MaxStartups 100',
      '',
    ].join('\n'),
  );
  // From OpenSSH 9.8 on (Debian 13) who fails to sign in is refused for a while; before, it is an unknown option.
  const lenient = ['-o', 'PerSourcePenalties=no'];
  const known = await run({ argv: ['/usr/sbin/sshd', '-t', '-f', config, ...lenient], accept: [1, 255] });
  const options = ['-D', '-e', '-f', config, ...(known.code === 0 ? lenient : [])];
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    server = spawn('/usr/sbin/sshd', options, { stdio: 'ignore' });
    for (let tries = 0; tries < 100; tries++) {
      if (
        await run({ argv: ['ssh-keyscan', '-p', String(port), '127.0.0.1'], accept: [1] }).then(
          ({ stdout }) => stdout !== '',
        )
      )
        return;
      await sleep(50);
    }
    throw new Error('sshd does not answer');
  };
  const stop = async (): Promise<void> => {
    if (server?.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };
  await start();
  return {
    port,
    url: (path: string) => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    /** Lets a public key in. @param may `read`: fetching only; `hang`: in, and then nothing happens */
    authorize: (publicKey: string, may: 'push' | 'read' | 'hang' = 'push'): void => {
      const command = {
        push: 'git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"',
        read: 'case $SSH_ORIGINAL_COMMAND in git-upload-pack*) git-shell -c \\"$SSH_ORIGINAL_COMMAND\\";; *) echo ERROR: this key is read only >&2; exit 1;; esac',
        hang: 'cat >/dev/null',
      }[may];
      writeFileSync(authorized, `command="${command}",restrict ${publicKey}\n`, { flag: 'a' });
    },
    /** Nobody answers there from now on, until it is started again. */
    stop,
    start,
    /** Another host key, as a new server, or somebody in between, has. */
    changeHostKey: async (): Promise<void> => {
      await stop();
      await hostKey();
      await start();
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A server that takes connections and never says a word. @param polite answers who asks for a page, and only says nothing to more */
export async function startSilent({ polite = false } = {}) {
  const sockets = new Set<Socket>();
  let kept = 0;
  const server = createTcp((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (said) => {
      if (polite && said.toString().startsWith('GET '))
        socket.end('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else kept++;
    });
    socket.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    /** How many asked for something and got no answer. */
    kept: () => kept,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

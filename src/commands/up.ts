import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { applySteps } from '../apply/apply.ts';
import { answeredConfig } from '../config/answers.ts';
import { pathsUnder, programHome } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { preflight, refuseUnless } from '../inspect/preflight.ts';
import { type GlobalOptions, openServer, type Server, serverWith, stackOfServer } from '../server.ts';
import { keepRunning } from '../stack/keep-running.ts';
import { withLock } from '../system/locks.ts';
import { planServer } from './plan-and-apply.ts';
import { isRoot } from '../system/identity.ts';
import { pass } from '../system/run.ts';
import { takeOwnership } from './take-ownership.ts';

/**
 * `fossilrepo up`: the whole server in the foreground, until Ctrl-C. Makes what isn't there yet, as install does.
 * @param options the server
 * @param configText what install decided; left out: the file that is there, or the defaults
 */
export async function up(options: GlobalOptions, configText?: string): Promise<void> {
  const server = prepare(options, configText);
  if (server.supervisor.kind === 'systemd')
    throw new OperatorError('On this machine systemd runs the server.', {
      next: 'Use fossilrepo start, or --root for one in a folder.',
    });
  const text =
    configText ??
    (existsSync(server.paths.config) ? readFileSync(server.paths.config, 'utf8') : firstConfig());
  refuseUnless(await preflight({ ...server, parts: await server.supervisor.states() }));
  await withLock(server.paths, 'up', 0, async () => {
    await withLock(server.paths, 'changes', 60_000, async () => {
      // Twice: Litestream's configuration needs the instance that the first round makes.
      for (let round = 0; round < 2; round++)
        await applySteps((await planServer(server, text, false)).steps, server);
    });
    const stopped = signalled();
    const stack = keepRunning((name) => stackOfServer(openServer(options))[name], server.paths);
    const requests = isRoot() ? setInterval(() => takeOwnership(options), 1_000) : undefined;
    try {
      // In a process of its own: it gives up root, which we need to start parts again.
      const proof = pass({ argv: proveCommand(options) });
      await Promise.race([proof, stopped]);
      await stopped;
    } finally {
      clearInterval(requests);
      await stack.stop();
      rmSync(server.paths.up, { force: true });
    }
  });
}

const proveCommand = ({ root, json }: GlobalOptions): [string, ...string[]] => [
  join(programHome, 'bin/fossilrepo'),
  '--root',
  root,
  ...(json ? ['--json'] : []),
  'prove',
];

/** What a server that nobody described is: local, and on ports that its user may open. */
const firstConfig = (): string =>
  isRoot() ? answeredConfig(undefined, {}) : 'ports: { http: 8080, https: 8443, repositories: 8081 }\n';

function prepare(options: GlobalOptions, configText: string | undefined): Server {
  const paths = pathsUnder(options.root);
  if (configText !== undefined) return serverWith(configText, options);
  return existsSync(paths.config) ? openServer(options) : serverWith(firstConfig(), options);
}

const signalled = () =>
  new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });

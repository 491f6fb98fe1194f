import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { forgetDue } from '../apply/due.ts';
import { applySteps } from '../apply/apply.ts';
import { firstConfig } from '../config/answers.ts';
import { type Paths, pathsUnder, ownProgram } from '../config/paths.ts';
import { messageOf, OperatorError } from '../errors.ts';
import { asRunBefore, preflight, refuseUnless, warnOf } from '../inspect/preflight.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { type GlobalOptions, openServer, type Server, serverWith, stackOfServer } from '../server.ts';
import { keepRunning } from '../stack/keep-running.ts';
import { markOf } from '../stack/leftovers.ts';
import { syncOnRequest } from '../stack/sync-on-request.ts';
import { withLock } from '../system/locks.ts';
import { planServer } from './plan-and-apply.ts';
import { isRoot } from '../system/identity.ts';
import { cleanEnvironment } from '../system/run.ts';
import { renewBundle } from './seal-bundle.ts';
import { stopping } from './stopping.ts';
import { takeOwnership } from './take-ownership.ts';

/** How often what is secret is compared with what was sealed, as a timer does it with systemd. Milliseconds. */
const sealingPause = 60_000;

/**
 * `fossilrepo up`: the whole server in the foreground, until Ctrl-C. Makes what isn't there yet, as install does.
 * @param options the server
 * @param decided what install decided: the file's text (left out: the one that is there, or the defaults) and the storage's keys
 */
export async function up(
  options: GlobalOptions,
  { configText, keys }: { configText?: string; keys?: StorageCredentials | undefined } = {},
): Promise<void> {
  // First of all: as a container's PID 1 we get no signal that we don't listen for.
  const ending = stopping();
  const stopped = once(ending, 'abort');
  const server = prepare(options, configText);
  if (server.supervisor.kind === 'systemd')
    throw new OperatorError('On this machine systemd runs the server.', {
      next: 'Use fossilrepo start, or --root for one in a folder.',
    });
  const text =
    configText ??
    (existsSync(server.paths.config) ? readFileSync(server.paths.config, 'utf8') : firstConfig(isRoot()));
  const found = await preflight({ ...server, processes: await server.supervisor.processes() });
  const judged = asRunBefore(found, server.paths, 'start');
  refuseUnless(judged);
  warnOf(
    judged.filter((one) => !found.includes(one)),
    server.out,
  );
  await withLock(server.paths, 'up', 0, async () => {
    await withLock(server.paths, 'changes', 60_000, async () => {
      // Twice: Litestream's configuration needs the instance that the first round makes.
      for (let round = 0; round < 2 && !ending.aborted; round++)
        await applySteps((await planServer(server, text, { parts: false, keys })).steps, server);
      // All of them start now.
      forgetDue(server.paths);
    });
    if (ending.aborted) return;
    // Before Litestream starts: it would write to a replica that isn't ours.
    const judge = ownProcess(options, ['judge-replica'], warmed(server.paths));
    await Promise.race([once(judge, 'exit'), stopped]);
    const stack = keepRunning((name) => stackOfServer(openServer(options))[name], server.paths);
    const sealing = setInterval(() => void renewBundle(server), sealingPause);
    const requests = isRoot()
      ? setInterval(
          untiring(() => takeOwnership(options)),
          1_000,
        )
      : undefined;
    const proof = ownProcess(options, ['prove'], {});
    const syncing = syncOnRequest(server.paths, () => ownProcess(options, ['sync', '--due'], {}));
    try {
      await stopped;
    } finally {
      clearInterval(requests);
      clearInterval(sealing);
      syncing.stop();
      for (const child of [judge, proof]) child.kill();
      await stack.stop();
      rmSync(server.paths.up, { force: true });
    }
  });
}

/** Work that is done again and again: what it fails with is said once, and ends nothing else. */
function untiring(work: () => void): () => void {
  let said: string | undefined;
  return () => {
    try {
      work();
      said = undefined;
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== said) process.stderr.write(`${problem}\n`);
      said = problem;
    }
  };
}

/** One of our commands in a process of its own: it gives up root, which we need to start parts again. */
function ownProcess(
  { root, json }: GlobalOptions,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  // It ends with us, however we end: what it shows nobody would see.
  const own = [ownProgram, '--root', root, ...(json ? ['--json'] : []), ...command];
  return spawn('setpriv', ['--pdeathsig=KILL', '--', ...own], {
    env: cleanEnvironment({ ...env, ...markOf(root) }),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** The cache that `judge-replica` fills for the management part. Root doesn't load what another user may have written there. */
const warmed = ({ cache }: Pick<Paths, 'cache'>): Record<string, string> =>
  isRoot() ? {} : { FOSSILREPO_CACHE: cache };

function prepare(options: GlobalOptions, configText: string | undefined): Server {
  const paths = pathsUnder(options.root);
  if (configText !== undefined) return serverWith(configText, options);
  return existsSync(paths.config) ? openServer(options) : serverWith(firstConfig(isRoot()), options);
}

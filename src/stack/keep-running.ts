import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync } from 'node:fs';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { createConcurrently, Logger, LogOutput, RestartProcess } from 'concurrently';
import type { Paths } from '../config/paths.ts';
import { messageOf } from '../errors.ts';
import { writeAtomic } from '../system/files.ts';
import { commonGroup, findGroup, findUser, isRoot, serviceUsers } from '../system/identity.ts';
import { cleanEnvironment } from '../system/run.ts';
import { fingerprint, startOf, type UpRecord } from './foreground.ts';
import { endLeftovers, markOf } from './leftovers.ts';
import { type Part, type PartName, partNames } from './parts.ts';

/** Milliseconds that parts get to end by themselves; twice this must stay below the 5 s that Ctrl-C may take. */
const patience = 2_000;

export type Stack = {
  /** Ends all parts: the replication last, so that it can send what the others still wrote. Within 5 s. */
  stop: () => Promise<void>;
};

/**
 * Runs the parts as children of this process; one that ends, however it ends, is started again after a second. What a part says
 * goes to standard error, prefixed with its name.
 * @param partOf asked at every start, so that a restarted part has today's arguments
 */
export function keepRunning(partOf: (name: PartName) => Part, paths: Paths): Stack {
  const children = new Map<PartName, ChildProcess>();
  const record: UpRecord = { pid: process.pid, started: startOf(process.pid), parts: {} };
  let stopping = false;
  endLeftovers(paths.root);

  const say = (name: PartName, what: string) => process.stderr.write(`[${name}] ${what}\n`);
  const known = new Map<PartName, Part>();
  /** As it is to be today. While fossilrepo.yaml can't be read, as it was: a mistake in a file ends nothing that runs. */
  const partNow = (name: PartName): Part => {
    try {
      known.set(name, partOf(name));
    } catch (error) {
      if (!known.has(name)) throw error;
      say(name, `is started as before: ${messageOf(error)}`);
    }
    return known.get(name) as Part;
  };

  const start = (name: PartName) => {
    // It had died a moment before we were asked to stop, and its pause is over.
    if (stopping) return endedAtOnce(0);
    try {
      return launch(name);
    } catch (error) {
      // A full disk, say: tried again like one that ends at once.
      say(name, `could not be started: ${messageOf(error)}`);
      return endedAtOnce(1);
    }
  };

  const launch = (name: PartName): EventEmitter => {
    const part = partNow(name);
    const [file, ...args] = commandOf(part);
    const child = spawn(file, args, {
      env: environmentOf(part, paths),
      stdio: ['ignore', 'pipe', 'pipe'],
      // Where we were started, such as /root, a part's user may not be, and could run nothing there.
      cwd: '/',
      // A group of its own: Ctrl-C on the terminal reaches us alone, and we decide who ends when.
      detached: true,
    });
    children.set(name, child);
    // What it left behind would keep its port: Fossil's children hold on to it while they answer.
    child.once('exit', () => signalGroup(child, 'SIGKILL'));
    if (child.pid !== undefined)
      record.parts[name] = { pid: child.pid, fingerprint: fingerprint(part, paths) };
    try {
      writeAtomic(paths.up, JSON.stringify(record), 0o644);
    } catch (error) {
      // It runs all the same; a second one beside it would find its port taken.
      say(name, `runs, which could not be written down for other commands: ${messageOf(error)}`);
    }
    return watched(child, () => stopping);
  };

  const logger = new Logger({ prefixFormat: 'name', timestampFormat: 'yyyy-MM-dd HH:mm:ss' });
  const { result } = createConcurrently(
    partNames.map((name) => ({ name, command: name })),
    {
      logger,
      outputStream: process.stderr,
      prefixColors: ['green', 'cyan', 'yellow', 'blue'],
      spawn: (name) => start(name as PartName) as never,
      kill: () => undefined,
      controllers: [new LogOutput({ logger }), new RestartProcess({ logger, tries: -1, delay: 1_000 })],
    },
  );

  const end = async (names: readonly PartName[]) => {
    const ending = names.flatMap((name) => children.get(name) ?? []);
    for (const child of ending) signalGroup(child, 'SIGTERM');
    await Promise.race([
      Promise.all(ending.map(ended)),
      new Promise((resolve) => setTimeout(resolve, patience).unref()),
    ]);
    for (const child of ending) signalGroup(child, 'SIGKILL');
  };

  return {
    stop: async () => {
      stopping = true;
      await end(partNames.filter((name) => name !== 'replication'));
      await end(['replication']);
      await result.catch(() => undefined);
      endLeftovers(paths.root);
    },
  };
}

/** The child as the supervisor sees it: every end is a failure, and so a reason to start again, until we are stopping. */
function watched(child: ChildProcess, stopping: () => boolean): EventEmitter {
  const view = Object.assign(new EventEmitter(), {
    pid: child.pid,
    stdin: null,
    stdout: child.stdout,
    stderr: child.stderr,
  });
  child.on('close', (code, signal) => view.emit('close', stopping() ? 0 : code === 0 ? 1 : code, signal));
  // A program that can't be started has no end of its own.
  child.on('error', () => view.emit('close', stopping() ? 0 : 127, null));
  return view;
}

/** What the supervisor sees of a part that is not started any more (0), or could not be (1). */
function endedAtOnce(code: 0 | 1): EventEmitter {
  const view = Object.assign(new EventEmitter(), { pid: undefined, stdin: null, stdout: null, stderr: null });
  setImmediate(() => view.emit('close', code, null));
  return view;
}

function signalGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('close', resolve));

/**
 * The kernel ends a part when we are killed: a part that lived on would keep its port, and a second Litestream would write beside it.
 * Root gives each part the user it has under systemd, and only the edge the right to low ports.
 */
function commandOf(part: Part): readonly [string, ...string[]] {
  const user = isRoot() ? findUser(part.user) : undefined;
  const bind = part.lowPorts
    ? ['--inh-caps=-all,+net_bind_service', '--ambient-caps=-all,+net_bind_service']
    : ['--inh-caps=-all'];
  const identity = user
    ? [`--reuid=${user.uid}`, `--regid=${groupOf(part, user)}`, '--clear-groups', '--no-new-privs', ...bind]
    : [];
  return ['setpriv', '--pdeathsig=KILL', ...identity, '--', ...part.argv];
}

/** A user who was there before fossilrepo may have another group. */
const groupOf = (part: Part, user: { gid: number }) =>
  findGroup(part.user === serviceUsers.edge ? serviceUsers.edge : commonGroup) ?? user.gid;

function environmentOf(part: Part, paths: Paths): Record<string, string> {
  const folder = credentialsFor(part, paths);
  const named = Object.entries(part.env).map(
    ([name, value]) => [name, value.replaceAll('{credentials}', folder)] as const,
  );
  const all = {
    ...cleanEnvironment({ ...Object.fromEntries(named), ...markOf(paths.root) }),
    ...(part.credentials.length > 0 && { CREDENTIALS_DIRECTORY: folder }),
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => !part.unset.includes(name)));
}

/** What systemd's LoadCredential= does: a copy of just these secrets that only the part's user can read. */
function credentialsFor(part: Part, paths: Paths): string {
  const user = isRoot() ? findUser(part.user) : undefined;
  if (!user) return paths.secrets;
  const folder = join(paths.credentials, part.name);
  // Others pass through to their own, and see none.
  mkdirSync(paths.credentials, { recursive: true });
  chmodSync(paths.credentials, 0o711);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of part.credentials) {
    copyFileSync(join(paths.secrets, name), join(folder, name));
    chownSync(join(folder, name), user.uid, user.gid);
  }
  chownSync(folder, user.uid, user.gid);
  return folder;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { openTerminal, type Terminal } from '../real/terminal.ts';
import {
  guestsFolder,
  networkEnvironment,
  pristineTree,
  shareNetworkSettings,
  type Suite,
} from './guest-base.ts';

export { suites, type Suite } from './guest-base.ts';

export type GuestRun = { stdout: string; stderr: string; code: number };

/** A running fresh Debian server. It shares the machine's network, so what it listens on must be free here too. */
export type Guest = {
  /** Its root folder as seen from the machine; its `/tmp` and `/run` are mounted inside and not visible here. */
  root: string;
  /** Runs shell text as root, with no terminal and empty standard input. `timeout` in ms, two minutes when not given; then it throws. */
  run: (command: string, options?: { timeout?: number }) => Promise<GuestRun>;
  /** As `run`; throws with what was said when the exit code is not 0. @returns standard output */
  must: (command: string, options?: { timeout?: number }) => Promise<string>;
  /** Runs shell text, of one command, as a person at a terminal. */
  terminal: (command: string) => Promise<Terminal>;
  /** Copies a file to a path, or the content of a folder into a folder, which is made. */
  copyIn: (hostPath: string, guestPath: string) => Promise<void>;
  /** Copies the checkout into a folder: what git knows and what it does not ignore, as an unpacked archive has it. */
  copyCheckout: (guestPath: string) => Promise<void>;
  /** Restarts the whole server and waits until it is up. */
  reboot: () => Promise<void>;
  /** Stops the server and removes it. May be called twice. */
  close: () => Promise<void>;
};

const checkout = resolve(import.meta.dirname, '../..');

/** What Docker leaves to root in a container (moby's oci/caps/defaults.go), as capabilities(7) has it: above all no SYS_PTRACE, no SYS_ADMIN. */
const containersCapabilities = [
  ...[
    'chown',
    'dac_override',
    'fsetid',
    'fowner',
    'mknod',
    'net_raw',
    'setgid',
    'setuid',
    'setfcap',
    'setpcap',
  ],
  ...['net_bind_service', 'sys_chroot', 'kill', 'audit_write'],
];

/**
 * Boots a server that has nothing but Debian: a copy of the pristine tree under systemd-nspawn, in some three seconds.
 * Waits for another guest to end, as all share the machine's ports.
 * @param kind `plain`: a container without systemd, as Docker's
 * @throws Error when guests can't be booted here, or this one does not come up
 */
export async function bootGuest(suite: Suite, kind: Kind = 'server'): Promise<Guest> {
  checkMachine();
  const tree = await pristineTree(suite);
  const name = `guest-${suite}-${process.pid}-${Date.now() % 1_000_000}`;
  const root = join(guestsFolder, name);
  // A session of its own: Ctrl-C reaches the test, and the guest ends in order after it.
  const keeper = spawn(join(import.meta.dirname, 'guest-keeper'), [guestsFolder, tree, root, name, kind], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(keeper, 'exit');
  const close = async () => {
    keeper.stdin.end();
    await ended;
  };
  const run: Guest['run'] = (command, options = {}) =>
    runInside(root, kind, command, options.timeout ?? 120_000);
  const guest: Guest = {
    root,
    run,
    close,
    must: async (command, options) => {
      const ran = await run(command, options);
      if (ran.code === 0) return ran.stdout;
      throw new Error(`${command} answered ${ran.code} in the guest:\n${ran.stdout}\n${ran.stderr}`);
    },
    terminal: async (command) => openTerminal(await enter(root, kind), command),
    copyIn: async (hostPath, guestPath) =>
      (await stat(hostPath)).isDirectory()
        ? unpackInside(root, hostPath, ['.'], guestPath)
        : unpackInside(
            root,
            dirname(hostPath),
            [basename(hostPath)],
            dirname(guestPath),
            `s,.*,${basename(guestPath)},`,
          ),
    copyCheckout: async (guestPath) => unpackInside(root, checkout, await checkoutFiles(), guestPath),
    reboot: async () => {
      const before = await leaderOf(root);
      await run('systemctl reboot').catch(() => undefined);
      await untilUp(root, { former: before });
    },
  };
  try {
    await Promise.race([
      once(keeper.stdout, 'data'),
      ended.then(() => Promise.reject(new Error('its copy failed'))),
    ]);
    await untilUp(root, { kind });
    await shareNetworkSettings(guest);
    return guest;
  } catch (error) {
    const log = await readFile(`${root}.log`, 'utf8').catch(() => '');
    await close();
    throw new Error(`The ${suite} guest did not boot: ${String(error)}\n${log.slice(-2000)}`, {
      cause: error,
    });
  }
}

/** Whether this machine can boot guests. @throws Error that says what is missing */
function checkMachine(): void {
  if (process.getuid?.() !== 0)
    throw new Error('Guests need root: run sudo test/all, or test/all --without-guests.');
  const programs = ['systemd-nspawn', 'debootstrap', 'nsenter', 'flock', 'tar'];
  const folders = (process.env['PATH'] ?? '').split(':');
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))));
  if (missing.length > 0)
    throw new Error(`Guests need ${missing.join(', ')}: run test/all, which adds them.`);
}

/** The guest's PID 1, as the machine numbers it: nspawn's only child. */
async function leaderOf(root: string): Promise<string | undefined> {
  const nspawn = await readFile(`${root}.pid`, 'utf8').then(
    (text) => text.trim(),
    () => '',
  );
  const children = await readFile(`/proc/${nspawn}/task/${nspawn}/children`, 'utf8').catch(() => '');
  return children.trim().split(' ')[0] || undefined;
}

/** Waits, a minute at most, until systemd has started all there is, in another life than the former. */
async function untilUp(
  root: string,
  { former, kind = 'server' }: { former?: string | undefined; kind?: Kind },
): Promise<void> {
  const end = Date.now() + 60_000;
  while (Date.now() < end) {
    await sleep(200);
    const leader = await leaderOf(root);
    if (leader === undefined || leader === former) continue;
    const ask = kind === 'plain' ? 'echo running' : 'systemctl is-system-running';
    const state = await runInside(root, kind, ask, 5_000).catch(() => undefined);
    if (state !== undefined && /^(running|degraded)/.test(state.stdout)) return;
  }
  throw new Error('systemd was not up after a minute');
}

type Kind = 'server' | 'plain';

/** The argv that puts a program into the guest, with the environment that a login on a fresh server has, and a container's rights. */
async function enter(root: string, kind: Kind): Promise<[string, ...string[]]> {
  const leader = await leaderOf(root);
  if (leader === undefined) throw new Error('The guest is not running.');
  const environment = Object.entries({
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    ...networkEnvironment(),
  }).map(([name, value]) => `${name}=${value}`);
  const bounds = ['-all', ...containersCapabilities.map((name) => `+${name}`)].join(',');
  const rights = kind === 'plain' ? ['setpriv', `--bounding-set=${bounds}`, '--inh-caps=-all', '--'] : [];
  return ['nsenter', '-t', leader, '-a', '--wd=/', ...rights, 'env', '-i', '-C', '/root', ...environment];
}

async function runInside(root: string, kind: Kind, command: string, timeout: number): Promise<GuestRun> {
  const [file, ...args] = await enter(root, kind);
  // A group of its own, so that the timeout ends all of it, not only nsenter.
  const started = execa(file, [...args, 'bash', '-c', command], {
    reject: false,
    stdin: 'ignore',
    detached: true,
  });
  const late = new Promise<'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), timeout);
    void started.finally(() => {
      clearTimeout(timer);
    });
  });
  const first = await Promise.race([started, late]);
  if (first === 'late' && started.pid !== undefined) process.kill(-started.pid, 'SIGKILL');
  const { stdout, stderr, exitCode, signal } = await started;
  if (first === 'late')
    throw new Error(`${command} took over ${timeout / 1000} s in the guest:\n${stdout}\n${stderr}`);
  // nsenter dies as what it ran died; a shell would answer 128 + the signal's number.
  return { stdout, stderr, code: exitCode ?? 128 + constants.signals[signal ?? 'SIGKILL'] };
}

/** By tar through the guest's own mounts, as its owner: the guest's root. */
async function unpackInside(
  root: string,
  from: string,
  names: readonly string[],
  to: string,
  rename?: string,
) {
  const [file, ...args] = await enter(root, 'server');
  const unpack = 'mkdir -p "$1" && tar -C "$1" --no-same-owner -xf -';
  await execa(
    'tar',
    ['-C', from, '--null', '-T', '-', '-cf', '-', ...(rename === undefined ? [] : [`--transform=${rename}`])],
    {
      input: names.join('\0'),
      buffer: false,
    },
  ).pipe(file, [...args, 'sh', '-c', unpack, 'sh', to]);
}

/** What git knows and does not ignore; of an unpacked archive, all but what tests and installs put there. */
async function checkoutFiles(): Promise<string[]> {
  if (!existsSync(join(checkout, '.git'))) {
    const made = ['./node_modules', './embedded/programs', './.cache'].flatMap((path) => [
      '-path',
      path,
      '-prune',
      '-o',
    ]);
    const found = await execa('find', ['.', ...made, '-type', 'f', '-print0'], { cwd: checkout });
    return found.stdout.split('\0').filter(Boolean);
  }
  // The checkout may be another user's, which git refuses to root by default.
  const listed = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { stdout } = await execa('git', listed, { cwd: checkout });
  return stdout.split('\0').filter((path) => path !== '' && existsSync(join(checkout, path)));
}

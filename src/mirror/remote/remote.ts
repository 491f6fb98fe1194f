import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Paths, programHome } from '../../config/paths.ts';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import {
  gitListRefs,
  gitRemoteConfig,
  gitRemoteEnvironment,
  remoteFiles,
  type RemoteLimits,
} from '../../programs/git.ts';
import { readRefs } from '../../programs/git-output.ts';
import { sshRemoteConfig } from '../../programs/ssh.ts';
import { scratch, sweepRemotes } from '../../repos/scratch.ts';
import type { Secret } from '../../secrets/secret.ts';
import { type Command, CommandError, type Ran } from '../../system/run.ts';
import { type RemoteAddress, remoteAddress } from './address.ts';
import { explain, RemoteError } from './error.ts';

/** What a remote knows us by. */
export type Credential =
  | { kind: 'token'; /** Empty: one that the hosts take for any login. */ user: string; token: Secret }
  | { kind: 'key'; /** Its line, as it is given to the remote. */ publicKey: string; privateKey: Secret };

/** A Git remote as it is stored, with its credential opened. */
export type Remote = {
  /** Without a password: see `splitRemoteUrl`. */
  url: string;
  credential: Credential | undefined;
  /** The pinned host keys, as lines of `known_hosts`; only an SSH remote has them. */
  hostKeys: string | undefined;
};

/** A git that can talk to one remote and to nobody else, while `withRemote` lasts. */
export type RemoteGit = {
  address: RemoteAddress;
  /** A private folder for this work, gone afterwards. */
  folder: string;
  limits: RemoteLimits;
  /**
   * Runs a command of `programs/git.ts` in a process group of its own that is ended at the deadline.
   * @param kind `ask`: a short question; `move`: objects go over @throws RemoteError
   */
  run: (command: Command, kind: 'ask' | 'move') => Promise<Ran>;
  /** Text without the token: a server may repeat what it was sent. Standard error comes without it. */
  hide: (text: string) => string;
  /** Runs one that only reads or writes on this machine. @throws OperatorError */
  local: (command: Command) => Promise<Ran>;
};

const usualLimits: RemoteLimits = { ask: 60_000, quiet: 5 * 60_000, total: 6 * 3_600_000 };

/**
 * Does `work` with a git that knows one remote's credential and host keys. They are files that only we may read, in a folder that is gone
 * afterwards; git's environment and command lines hold names of files only.
 * @throws OperatorError (usage) when the credential doesn't fit the address
 */
export async function withRemote<T>(
  forge: Pick<Forge, 'run'> & { paths: Pick<Paths, 'tmp'> },
  remote: Remote,
  work: (git: RemoteGit) => Promise<T>,
  options: { signal?: AbortSignal | undefined; limits?: Partial<RemoteLimits> } = {},
): Promise<T> {
  const address = remoteAddress(remote.url);
  const limits = { ...usualLimits, ...options.limits };
  sweepRemotes(forge.paths);
  using place = scratch(forge.paths, `remote-${process.pid}`);
  writeFiles(place.path, address, remote, limits);
  const env = gitRemoteEnvironment({
    program: programHome,
    folder: place.path,
    protocol: address.protocol,
    quiet: limits.quiet,
    roots: process.env['SSL_CERT_FILE'],
  });
  const hide = hiding(remote.credential);
  const start = (command: Command) =>
    forge.run({
      timeout: limits.total,
      ...command,
      env: { ...env, ...command.env },
      cwd: place.path,
      group: true,
      signal: options.signal,
    });
  return await work({
    address,
    folder: place.path,
    limits,
    hide,
    run: async (command, kind) => {
      const timing =
        kind === 'ask' ? { timeout: limits.ask } : { timeout: limits.total, quiet: limits.quiet };
      try {
        const ran = await start({ ...command, ...timing });
        return { ...ran, stderr: hide(ran.stderr) };
      } catch (error) {
        if (error instanceof CommandError) throw explain(address, hide(error.stderr), error.ended);
        throw error;
      }
    },
    local: start,
  });
}

/** The branches and tags that a remote has: ref → hash, an annotated tag's own. @throws RemoteError */
export async function listRemote(git: RemoteGit): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await git.run(gitListRefs(git.address.url), 'ask');
  return readRefs(stdout);
}

function writeFiles(folder: string, address: RemoteAddress, remote: Remote, limits: RemoteLimits): void {
  const { credential } = remote;
  const overHttp = address.protocol === 'https' || address.protocol === 'http';
  if (credential?.kind === 'token' && !overHttp) throw misfit(address, 'a token is for https://');
  if (credential?.kind === 'key' && address.protocol !== 'ssh') throw misfit(address, 'a key is for SSH');
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o600, flag: 'wx' });
  write(remoteFiles.gitConfig, gitRemoteConfig);
  if (address.protocol === 'ssh') {
    write(remoteFiles.sshConfig, sshRemoteConfig({ key: credential !== undefined, ask: limits.ask }));
    write(remoteFiles.knownHosts, remote.hostKeys ?? '');
  }
  if (overHttp) write(remoteFiles.origin, `${address.protocol} ${new URL(address.url).host}\n`);
  if (credential?.kind === 'key') write(remoteFiles.key, withNewline(credential.privateKey.reveal()));
  if (credential?.kind === 'token') {
    const token = credential.token.reveal().trim();
    const user = credential.user === '' ? (address.user ?? anyLogin) : credential.user;
    // Git reads one line of each.
    if (/[\r\n\0]/.test(token + user))
      throw new RemoteError('credential', `The token for ${address.url} has more than one line.`);
    write(remoteFiles.user, `${user}\n`);
    write(remoteFiles.token, `${token}\n`);
  }
}

function hiding(credential: Credential | undefined): (text: string) => string {
  const token = credential?.kind === 'token' ? credential.token.reveal().trim() : '';
  return (text) => (token === '' ? text : text.replaceAll(token, '[secret]'));
}

/** GitHub takes any login with a token, GitLab any that isn't empty, Gitea and Forgejo too. */
const anyLogin = 'oauth2';

/** OpenSSH reads no private key whose last line has no end. */
const withNewline = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

const misfit = (address: RemoteAddress, why: string): OperatorError =>
  new OperatorError(`The credential doesn't fit ${address.url}: ${why}.`, {
    next: 'Give an SSH remote a deploy key, an HTTPS remote a token, a folder neither.',
    exit: 'usage',
  });

import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { sealForUpstream } from '../mirror/upstream/credential.ts';
import { isGit } from '../mirror/upstream/create.ts';
import {
  type FossilAddress,
  signedInAddress,
  type SourceForm,
  splitFossilUrl,
} from '../mirror/upstream/source.ts';
import { type SplitUrl, splitRemoteUrl } from '../mirror/remote/address.ts';
import { RemoteError } from '../mirror/remote/error.ts';
import { listRemote, type Remote, withRemote } from '../mirror/remote/remote.ts';
import { parseSchedule, usualSchedule } from '../plan/schedule.ts';
import { readToken } from '../secrets/given.ts';
import { type Secret, secret } from '../secrets/secret.ts';
import { unpulled, type Upstream } from '../store/upstreams.ts';
import { approvedHostKeys } from './mirror-host-keys.ts';
import { askForToken, somebodyIsThere } from './questions.ts';

/** What an operator says of how an upstream is reached. */
export type AccessFlags = {
  tokenStdin: boolean;
  /** A file with a private key in OpenSSH's format. */
  sshKey?: string;
  user?: string;
  schedule?: string;
  yes: boolean;
};

/** Secrets that only who called may read; taken before the process becomes the service user. */
export type Given = { token: Secret | undefined; key: Secret | undefined };

/** Reads what the flags name. @throws OperatorError (usage) */
export function readGiven(flags: AccessFlags): Given {
  if (flags.schedule !== undefined) parseSchedule(flags.schedule);
  return {
    token: flags.tokenStdin ? readToken() : undefined,
    key: flags.sshKey === undefined ? undefined : secret(readKey(flags.sshKey)),
  };
}

function readKey(file: string): string {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new OperatorError(`There is no file ${file} that can be read.`, { exit: 'usage' });
  }
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return text;
  throw new OperatorError(`${file} holds no private key.`, {
    next: 'Give the half without .pub; ssh-keygen -t ed25519 makes both. It must have no passphrase.',
    exit: 'usage',
  });
}

/** An upstream without a repository, and for Git the remote that it is. */
export type Reached = {
  upstream: Omit<Upstream, 'repository'>;
  remote: Remote | undefined;
  /** Of Fossil: the address with who signs in. */
  address?: Secret;
  /** Says why it can't be followed by the server's own user; left out where that is certain. */
  follows?: () => Promise<string | undefined>;
};

/**
 * Finds out what an address is and how it is reached: asks who is there when the form doesn't tell, for host keys, and for a token when the
 * remote wants one and somebody is at the terminal.
 * @throws OperatorError also when it can't be reached
 */
export async function reach(
  forge: Forge,
  text: string,
  form: Exclude<SourceForm, 'path'>,
  given: Given,
  flags: AccessFlags & { dryRun: boolean },
): Promise<Reached> {
  if (form === 'fossil') return reachFossil(forge, splitFossilUrl(text), given, flags);
  const split = splitRemoteUrl(text);
  if (form === 'either' && !(await isGit(forge, remoteFrom(split, given, flags))))
    return reachFossil(forge, splitFossilUrl(text), given, flags);
  return reachGit(forge, split, given, flags);
}

const fresh = (flags: AccessFlags, kind: Upstream['kind'], url: string): Omit<Upstream, 'repository'> => ({
  ...unpulled,
  ...{ id: randomUUID(), kind, url, user: flags.user ?? null, createdAt: Date.now() },
  everyMs: flags.schedule === undefined ? usualSchedule : parseSchedule(flags.schedule),
  ...{ sealedCredential: null, publicKey: null, hostKeys: null },
});

function reachFossil(forge: Forge, address: FossilAddress, given: Given, flags: AccessFlags): Reached {
  const base = fresh(flags, 'fossil', address.url);
  const password = given.token ?? address.password;
  warnOfPassword(forge, address.password !== undefined);
  const user = flags.user ?? address.user ?? null;
  if (password && user === null)
    throw new OperatorError('A password belongs to a login.', {
      next: 'Say which with --user, or in the address.',
      exit: 'usage',
    });
  const sealedCredential = password ? sealForUpstream(forge, base.id, password) : null;
  return {
    upstream: { ...base, user, sealedCredential },
    remote: undefined,
    address: signedInAddress({ url: address.url, user: user ?? undefined, password }),
  };
}

function remoteFrom({ address, token }: SplitUrl, given: Given, flags: AccessFlags): Remote {
  const known = given.token ?? token;
  const user = flags.user ?? address.user ?? '';
  return {
    url: address.url,
    credential: given.key
      ? { kind: 'key', publicKey: '', privateKey: given.key }
      : known
        ? { kind: 'token', user, token: known }
        : undefined,
    hostKeys: undefined,
  };
}

async function reachGit(
  forge: Forge,
  split: SplitUrl,
  given: Given,
  flags: AccessFlags & { dryRun: boolean },
): Promise<Reached> {
  const { address } = split;
  warnOfPassword(forge, split.token !== undefined);
  const hostKeys = address.protocol === 'ssh' ? await approvedHostKeys(forge, address.url, flags) : undefined;
  const base = fresh(flags, 'git', address.url);
  const remote = { ...remoteFrom(split, given, flags), hostKeys };
  const user = flags.user ?? address.user ?? '';
  const credential = await working(forge, remote, { user, host: address.host });
  const sealed = credential?.kind === 'token' ? credential.token : credential?.privateKey;
  return {
    remote: { ...remote, credential },
    upstream: {
      ...base,
      user: flags.user ?? (address.protocol === 'ssh' ? null : (address.user ?? null)),
      hostKeys: hostKeys ?? null,
      publicKey: credential?.kind === 'key' ? '' : null,
      sealedCredential: sealed ? sealForUpstream(forge, base.id, sealed) : null,
    },
  };
}

/** The credential, when it works; one is asked for where none is known and one is wanted. */
async function working(
  forge: Forge,
  remote: Remote,
  { user, host }: { user: string; host: string },
): Promise<Remote['credential']> {
  try {
    await withRemote(forge, remote, listRemote);
    return remote.credential;
  } catch (error) {
    const wanted = error instanceof RemoteError && (error.kind === 'credential' || error.kind === 'missing');
    const overHttp = /^https?:/.test(remote.url);
    if (!wanted || !overHttp || remote.credential || !somebodyIsThere()) throw error;
    const token = await askForToken(host);
    if (!token) throw error;
    const credential = { kind: 'token', user, token } as const;
    await withRemote(forge, { ...remote, credential }, listRemote);
    return credential;
  }
}

function warnOfPassword(forge: Pick<Forge, 'out'>, written: boolean): void {
  if (written)
    forge.out.warn(
      'The address held a password: others could read it in the list of processes. Better replace it.',
    );
}

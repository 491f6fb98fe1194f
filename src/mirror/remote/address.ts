import { realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { OperatorError } from '../../errors.ts';
import { type Secret, secret } from '../../secrets/secret.ts';

/** The ways to a remote that git may go. Its other helpers (`ext::`, `git://` …) run commands or check nobody. */
export type RemoteProtocol = 'https' | 'http' | 'ssh' | 'file';

/** Where a Git remote is. It holds no password. */
export type RemoteAddress = {
  /** As git takes it. */
  url: string;
  protocol: RemoteProtocol;
  /** Without brackets around an IPv6 address; empty for a path. */
  host: string;
  /** Undefined when it is the protocol's own. */
  port: number | undefined;
  /** Who signs in: part of an SSH address; of an HTTP one only when it was written there. */
  user: string | undefined;
  /** On the remote; for `file`, the folder on this machine. */
  path: string;
};

/** What an operator typed, taken apart at the edge: from here on nothing that is stored or shown holds the token. */
export type SplitUrl = { address: RemoteAddress; token: Secret | undefined };

/** Tokens that people put where a login belongs, as `https://TOKEN@github.com/…`: their makers gave them these beginnings. */
const tokenLike = /^(gh[pousr]_|github_pat_|gl[a-z]+-)[\w.-]{16,}$/;

const forms =
  'https://HOST/PATH, ssh://USER@HOST:PORT/PATH, USER@HOST:PATH, file:///FOLDER or the absolute path of a folder';

/**
 * Takes an address apart: `https://`, `http://`, `ssh://`, `USER@HOST:PATH`, `file:///`, or an absolute path.
 * @throws OperatorError (usage) for anything else; it never repeats a password
 */
export function splitRemoteUrl(text: string): SplitUrl {
  const typed = text.trim();

  if (typed === '' || /[\0-\x1f\x7f]/.test(typed)) throw notAnAddress(typed);
  if (isAbsolute(typed)) return { address: folder(typed, typed), token: undefined };
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(typed)) return fromUrl(typed);
  const scp = /^(?:([^@:/\s]+)@)?(\[[0-9a-f:.]+\]|[^@:/\s[\]]+):(?!:|\/\/)(\S.*)$/i.exec(typed);
  if (!scp) throw notAnAddress(typed);
  const [, user, host = '', path = ''] = scp;
  return { address: overSsh(typed, { user, host, port: undefined, path }), token: undefined };
}

/** The address of a remote that was taken apart before. @throws OperatorError when it holds a password */
export function remoteAddress(url: string): RemoteAddress {
  const { address, token } = splitRemoteUrl(url);
  if (token) throw new OperatorError(`The address of ${address.url} holds a password.`);
  return address;
}

function fromUrl(typed: string): SplitUrl {
  const url = URL.parse(typed);
  if (!url) throw notAnAddress(typed);
  const protocol = url.protocol.slice(0, -1);
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (protocol === 'file') {
    if (url.host !== '' || url.search !== '' || url.hash !== '') throw notAnAddress(typed);
    return { address: folder(decoded(url.pathname) ?? '', url.href), token: undefined };
  }
  if (url.hostname === '' || url.pathname.length < 2 || url.search !== '' || url.hash !== '')
    throw notAnAddress(typed);
  const host = url.hostname;
  const port = url.port === '' ? undefined : Number(url.port);
  const path = url.pathname;
  if (protocol === 'ssh') {
    if (password !== undefined)
      throw new OperatorError('An SSH remote takes a key, and no password.', {
        next: 'Leave the password out of the address; a deploy key is made for the mirror.',
        exit: 'usage',
      });
    return { address: overSsh(url.href, { user, host, port, path }), token: undefined };
  }
  if (protocol !== 'https' && protocol !== 'http') throw notAnAddress(typed);
  const onlyToken = password === undefined && user !== undefined && tokenLike.test(user);
  url.username = '';
  url.password = '';
  return {
    address: {
      ...{ url: url.href, protocol, host: bare(host), port, path },
      user: onlyToken ? undefined : user,
    },
    token: onlyToken ? secret(user) : password === undefined ? undefined : secret(password),
  };
}

function overSsh(
  url: string,
  at: { user: string | undefined; host: string; port: number | undefined; path: string },
): RemoteAddress {
  // What begins with a dash would be an option to ssh.
  if ([at.user ?? '', at.host, at.path].some((part) => part.startsWith('-'))) throw notAnAddress(url);
  return { url, protocol: 'ssh', ...at, host: bare(at.host).toLowerCase() };
}

const folder = (path: string, url: string): RemoteAddress => ({
  ...{ url, protocol: 'file', host: '', port: undefined, user: undefined, path },
});

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

function decoded(part: string): string | undefined {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function notAnAddress(typed: string): OperatorError {
  const shown = withoutPasswords(typed).slice(0, 200);
  return new OperatorError(`“${shown}” is no address of a Git remote.`, {
    next: `Use ${forms}.`,
    exit: 'usage',
  });
}

/**
 * Where a remote is, however it is written: hosts serve one repository by several ways, with and without `.git`. Two that are equal are one
 * repository; others may be one all the same.
 */
export function placeOf({ protocol, host, port, path }: RemoteAddress): string {
  if (protocol === 'file') return realpathIfThere(path);
  const short = path
    .replace(/^\/+/, '')
    .replace(/\/+$/, '')
    .replace(/\.git$/, '');
  // A port of its own may be another server; the ways that a host is usually reached by are the same one.
  return `${host.toLowerCase()}:${port ?? ''}/${short}`;
}

function realpathIfThere(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Any text without what stands between `://` and `@`. */
export const withoutPasswords = (text: string): string => text.replaceAll(/(:\/\/)[^/\s]*@/g, '$1');

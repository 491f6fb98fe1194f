import { OperatorError } from '../../errors.ts';
import { type Secret, secret } from '../../secrets/secret.ts';

/** What somebody named as the source of a repository, as far as its form tells; `either`: only asking tells. */
export type SourceForm = 'git' | 'fossil' | 'either' | 'path';

/** Hosts of Git only. */
const gitHosts = new Set(['github.com', 'gitlab.com', 'codeberg.org', 'bitbucket.org', 'git.sr.ht']);

/**
 * What a source is by its form: what ends in `.git`, `ssh://`, `file://`, `USER@HOST:PATH` and the well-known hosts of Git are Git; another
 * `http(s)://` may be either; the rest is a path.
 */
export function sourceForm(text: string): SourceForm {
  if (/^https?:\/\//i.test(text)) {
    const url = URL.parse(text);
    // Git has nothing at the root of a server.
    if (!url || url.pathname === '/' || url.search !== '' || url.hash !== '') return 'fossil';
    return /\.git\/?$/.test(url.pathname) || gitHosts.has(url.hostname.toLowerCase()) ? 'git' : 'either';
  }
  if (/^(ssh|file):\/\//i.test(text)) return 'git';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return 'fossil';
  if (/^[./]/.test(text)) return 'path';
  return /^([^@:/\s]+@)?(\[[0-9a-f:.]+\]|[^@:/\s[\]]+):\S/i.test(text) ? 'git' : 'path';
}

/** A Fossil address, apart from who signs in. */
export type FossilAddress = { url: string; user: string | undefined; password: Secret | undefined };

/** @throws OperatorError (usage) when it is no `http(s)` address */
export function splitFossilUrl(text: string): FossilAddress {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw new OperatorError('This is no address of a Fossil repository.', {
      next: 'Give one like https://LOGIN@example.com/name; what is special in a password is written as %XX.',
      exit: 'usage',
    });
  const [user, password] = [decoded(url.username), decoded(url.password)];
  url.username = '';
  url.password = '';
  return { url: url.href, user: user || undefined, password: password === '' ? undefined : secret(password) };
}

/** The address of a Fossil repository with who signs in there. */
export function signedInAddress({ url, user, password }: FossilAddress): Secret {
  const address = new URL(url);
  address.username = encodeURIComponent(user ?? '');
  if (password) address.password = encodeURIComponent(password.reveal());
  return secret(address.href);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

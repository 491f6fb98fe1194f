import { OperatorError } from '../../errors.ts';
import type { HostKind } from '../host-kinds.ts';
import { remoteAddress } from '../remote/address.ts';

/** A project at a host, and where its API is. */
export type Project = {
  kind: HostKind;
  /** Where the API begins, without a slash at its end: for GitHub `https://api.github.com`, for the others their own address. */
  api: string;
  /** `owner/name`; at GitLab groups may be within groups. */
  path: string;
};

/** What hosts are called that say by their name what they are. */
const byName: readonly (readonly [RegExp, HostKind])[] = [
  [/^(www\.)?github\.com$/, 'github'],
  [/^(gitlab\.com|gitlab\..+)$/, 'gitlab'],
  [/^(codeberg\.org|gitea\.com|(gitea|forgejo|codeberg)\..+)$/, 'gitea'],
];

/** What a remote's host is; undefined where its name doesn't tell. */
export function kindOf(url: string): HostKind | undefined {
  const { host } = remoteAddress(url);
  return byName.find(([name]) => name.test(host.toLowerCase()))?.[1];
}

/**
 * The project behind a Git remote.
 * @param url the remote's @param said what the operator says of it, for hosts that have names of their own
 * @throws OperatorError (usage) when it is not known what its host is, or where its API
 */
export function projectOf(
  url: string,
  said: { kind?: HostKind | undefined; api?: string | undefined } = {},
): Project {
  const address = remoteAddress(url);
  const kind = said.kind ?? kindOf(url);
  if (kind === undefined)
    throw new OperatorError(`Is ${address.host || url} GitHub, GitLab or Gitea? Its name doesn't say.`, {
      next: 'Say --host-kind github, gitlab or gitea (Forgejo speaks the same as Gitea).',
      exit: 'usage',
    });
  const path = address.path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '');
  if (
    address.protocol === 'file' ||
    !/^[^/]+(\/[^/]+)+$/.test(path) ||
    (kind !== 'gitlab' && path.split('/').length !== 2)
  )
    throw new OperatorError(`${url} doesn't say which project it is: OWNER/NAME is expected.`, {
      exit: 'usage',
    });
  const api = checkedApi(said.api ?? usualApi(kind, address));
  return { kind, path, api: api.replace(added[kind], '') };
}

/** What clients add to the address themselves, though hosts name it with it. */
const added: Readonly<Record<HostKind, RegExp | string>> = {
  github: '',
  gitlab: /\/api\/v4$/,
  gitea: /\/api\/v1$/,
};

function usualApi(
  kind: HostKind,
  { protocol, host, port }: { protocol: string; host: string; port: number | undefined },
): string {
  if (kind === 'github' && /^(www\.)?github\.com$/.test(host)) return 'https://api.github.com';
  const web = protocol === 'http' || protocol === 'https';
  const at = host.includes(':') ? `[${host}]` : host;
  const own = `${web ? protocol : 'https'}://${at}${web && port !== undefined ? `:${port}` : ''}`;
  // GitHub's servers for companies have it below.
  return kind === 'github' ? `${own}/api/v3` : own;
}

/** @throws OperatorError (usage) for an address that would show the token to everybody on the way */
function checkedApi(text: string): string {
  const url = URL.parse(text);
  const loopback = url !== null && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new OperatorError('The address of an API is https://HOST, maybe with a path.', { exit: 'usage' });
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
    throw new OperatorError(`${url.protocol}//${url.host} would get the token where others can read it.`, {
      next: 'The API has to be asked by https://: say where with --api.',
      exit: 'usage',
    });
  return url.href.replace(/\/+$/, '');
}

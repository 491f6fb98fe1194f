import type { Config } from '../config/config.ts';

/** How repositories are addressed: each by a name of its own, or all by paths of one port where such names don't resolve. */
export type Addressing = 'names' | 'paths';

/** The forge's own address, without a slash at the end. */
export function forgeUrl(config: Pick<Config, 'tls' | 'domain' | 'ports'>): string {
  const usual = config.tls === 'off' ? port(config.ports.http, 80) : port(config.ports.https, 443);
  return `${scheme(config)}://${config.domain}${usual}`;
}

/** Where a repository is cloned from and looked at; nobody's name in it. */
export function repositoryUrl(
  config: Pick<Config, 'tls' | 'domain' | 'ports'>,
  name: string,
  addressing: Addressing,
): string {
  if (addressing === 'paths') return `${scheme(config)}://localhost:${config.ports.repositories}/${name}`;
  return forgeUrl(config).replace('://', `://${name}.`) + '/';
}

/**
 * A command that clones, word for word. For a repository that not everybody may read it asks for the login's token, and whether to keep it:
 * with `--save-http-password` Fossil 2.21 would not ask at all (clone.c).
 */
export function cloneCommand(url: string, name: string, login: string | undefined): string {
  if (login === undefined) return `fossil clone ${url} ${name}.fossil`;
  return `fossil clone ${withLogin(url, login)} ${name}.fossil`;
}

/** An address with a login in it. */
export const withLogin = (url: string, login: string): string =>
  url.replace('://', `://${encodeURIComponent(login)}@`);

const scheme = ({ tls }: Pick<Config, 'tls'>) => (tls === 'off' ? 'http' : 'https');

const port = (number: number, usual: number) => (number === usual ? '' : `:${number}`);

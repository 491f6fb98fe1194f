import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { renderTemplate } from './template.ts';

/**
 * Fossil's pages for Setup and Admin, which no member of a repository ever holds here. `xfer` is not one of them.
 * From `fossil help -w` of 2.21 and 2.26; prefixes, so that a page of a later Fossil with the same beginning is shut too.
 */
const settingsPages = [
  'setup[^/]*',
  'admin[^/]*',
  'xfersetup[^/]*',
  'tktsetup[^/]*',
  'srchsetup',
  'waliassetup',
  'test[_-][^/]*',
  'access_log',
  'user_log',
  'errorlog',
  'shun',
  'secaudit0',
  'takeitprivate',
  'rcvfromlist',
  'repolist',
  'register',
  'announce',
  'subscribers',
  'cachestat',
  'cacheget',
  'extfilelist',
  'repo-tabsize',
];

/**
 * The edge's configuration: the root domain to the management socket, NAME.DOMAIN to that repository, and nothing else.
 * A name is answered for while `paths.routes/NAME` exists, and with 503 while `paths.closed/NAME` does; Caddy looks at
 * each request, so neither needs a reload.
 *
 * `config.listen` is taken as it is, except that `0.0.0.0` together with `::` means every address of the machine, which
 * also works where there is no IPv6. Any other address that the machine doesn't have keeps Caddy from starting.
 * @param template the text of `templates/Caddyfile`
 * @throws OperatorError (usage) when a path or URL holds a character that Caddy would read as its own syntax
 */
export function renderCaddyfile(template: string, config: Config, paths: Paths): string {
  const { domain, ports, tls, local } = config;
  const scheme = tls === 'off' ? 'http' : 'https';
  const everywhere = config.listen.includes('0.0.0.0') && config.listen.includes('::');
  return renderTemplate(template, {
    adminSocket: path(paths.edgeSocket),
    serveSocket: path(paths.serveSocket),
    storage: path(paths.edgeHome),
    routes: path(paths.routes),
    closed: path(paths.closed),
    blocked: settingsPages.join('|'),
    ports,
    listen: everywhere ? [] : config.listen.map(bindAddress),
    tls,
    scheme,
    local,
    domain,
    namePattern: `^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\\.${domain.replaceAll('.', '\\.')}$`,
    site: `${scheme}://${domain}`,
    sites: `${scheme}://*.${domain}`,
    httpsSuffix: ports.https === 443 ? '' : `:${ports.https}`,
    push: config.repositories.push,
    email: word(config.email ?? ''),
    acme: { directory: word(config.acme.directory ?? ''), roots: path(config.acme.roots ?? '') },
  });
}

/** To Go, `0.0.0.0` and `::` alone both mean IPv4 and IPv6. */
function bindAddress(address: string): string {
  if (address === '0.0.0.0') return 'tcp4/0.0.0.0';
  if (address === '::') return 'tcp6/[::]';
  return address.includes(':') ? `[${address}]` : address;
}

function word(text: string): string {
  if (/[\s"`\\{}]/.test(text)) throw unusable(text);
  return text;
}

/** Caddy also expands globs in the folders that it looks for marks in. */
function path(text: string): string {
  if (/[\n\r\t"`\\{}*?[\]|]/.test(text)) throw unusable(text);
  return text;
}

function unusable(text: string): OperatorError {
  return new OperatorError(`Caddy's configuration can't hold ${JSON.stringify(text)}.`, {
    next: 'Use a name without quotes, braces, brackets, backslashes and wildcards.',
    exit: 'usage',
  });
}

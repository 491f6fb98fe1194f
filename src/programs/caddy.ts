import { join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Command } from '../system/run.ts';

/**
 * The oldest Caddy that is accepted: 2.11.1 closed ways around its host, path and file matchers (CVE-2026-27585 to 27590),
 * and such matchers decide here which names have a certificate and reach Fossil.
 */
export const oldestCaddy = '2.11.1';

/** Caddy wants a home for what it keeps beside its storage (its instance id), and stops when there is none. */
const home = (paths: Pick<Paths, 'edgeHome'>) => ({
  HOME: paths.edgeHome,
  XDG_DATA_HOME: join(paths.edgeHome, 'data'),
  XDG_CONFIG_HOME: join(paths.edgeHome, 'config'),
});

/** The edge in the foreground, until it is ended. It says `READY=1` on NOTIFY_SOCKET when that is set. */
export const caddyRun = (paths: Pick<Paths, 'edgeHome' | 'caddyfile'>, program: string) => ({
  argv: [program, 'run', '--adapter', 'caddyfile', '--config', paths.caddyfile] as const,
  env: home(paths),
});

/**
 * Checks a rendered file before it goes live. Not a dry look: with `tls: internal` it makes the certificate authority in
 * `edgeHome` when there is none yet, so it must run as the edge's user, or the edge can't read its own authority.
 */
export const caddyValidate = (paths: Pick<Paths, 'edgeHome'>, program: string, file: string): Command => ({
  argv: [program, 'validate', '--adapter', 'caddyfile', '--config', file],
  env: home(paths),
  timeout: 60_000,
});

/**
 * Makes the running edge take the file. When it can't, the edge keeps its former configuration and this fails with
 * Caddy's reason. Requests under way go on. `--force`: also when only what the file points to has changed.
 * @param adminSocket `paths.edgeSocket`
 */
export const caddyReload = (program: string, file: string, adminSocket: string): Command => ({
  argv: [
    program,
    'reload',
    '--force',
    '--adapter',
    'caddyfile',
    '--config',
    file,
    '--address',
    `unix/${adminSocket}`,
  ],
  timeout: 60_000,
});

export const caddyVersion = (program: string): Command => ({ argv: [program, 'version'], timeout: 10_000 });

/**
 * The version that `caddy version` printed: `v2.11.7 h1:…`, or `2.11.7` from a distribution.
 * @throws OperatorError when it is something else
 */
export function readCaddyVersion(stdout: string): string {
  const [, version] = /^v?(\d+\.\d+\.\d+)\b/.exec(stdout.trim()) ?? [];
  if (version === undefined)
    throw new OperatorError(`Caddy's version can't be read from “${stdout.trim().slice(0, 80)}”.`, {
      next: `Use Caddy ${oldestCaddy} or later, or the one that fossilrepo brings.`,
    });
  return version;
}

/** The root certificate of the edge's own authority (`tls: internal`), for people to trust. There once the edge has run. */
export const caddyRoot = (paths: Pick<Paths, 'edgeHome'>): string =>
  join(paths.edgeHome, 'pki/authorities/local/root.crt');

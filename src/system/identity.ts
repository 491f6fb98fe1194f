import { readFileSync, statSync } from 'node:fs';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';

/** The users that parts of a server run as. */
export const serviceUsers = { edge: 'caddy', repositories: 'fossil', management: 'fossilrepo' } as const;
export type ServiceUser = (typeof serviceUsers)[keyof typeof serviceUsers];

/** The group that `fossil` and `fossilrepo` share: it owns the repositories. */
export const commonGroup = 'fossilrepo';

export type Ids = { uid: number; gid: number };

/** A user of `/etc/passwd`, or undefined. */
export function findUser(name: string): (Ids & { home: string }) | undefined {
  const fields = entry('/etc/passwd', name);
  return fields && { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] ?? '/' };
}

/** A group's number from `/etc/group`, or undefined. */
export function findGroup(name: string): number | undefined {
  const fields = entry('/etc/group', name);
  return fields && Number(fields[2]);
}

function entry(file: string, name: string): string[] | undefined {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([first]) => first === name);
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Gives up root for the user that owns the server's state. Everything that reads what tenants wrote happens after this.
 * Does nothing for an ordinary user, and in a server that root itself keeps in a folder.
 */
export function becomeService(paths: Pick<Paths, 'state'>): void {
  process.umask(0o007);
  if (!isRoot()) return;
  const { uid, gid } = statSync(paths.state);
  if (uid === 0) return;
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  process.env['HOME'] = paths.state;
  // Programs can't be started from a folder that only root may enter.
  process.chdir(paths.state);
}

/** @throws OperatorError when the caller may not change the server: root for `/`, the folder's owner elsewhere */
export function requireOwner(paths: Pick<Paths, 'root'>): void {
  if (isRoot() || paths.root !== '/') return;
  throw new OperatorError('Only root can do this.', { next: 'Run it again with sudo.', exit: 'usage' });
}

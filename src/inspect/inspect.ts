import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { readDue } from '../apply/due.ts';
import type { Paths } from '../config/paths.ts';
import { codeOf, OperatorError } from '../errors.ts';
import type { Found } from '../plan/changes.ts';
import type { Owner, Wanted } from '../plan/wanted.ts';
import { administratorLogin } from '../access/administrator.ts';
import { readStorageKeys } from '../secrets/given.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { findMember } from '../store/members.ts';
import { openStore } from '../store/store.ts';
import { findGroup, findUser } from '../system/identity.ts';
import type { Supervisor } from '../stack/supervisor.ts';

/** What is there of the wanted things. Changes nothing. */
export async function inspect(
  wanted: readonly Wanted[],
  paths: Paths,
  supervisor: Supervisor,
): Promise<Found> {
  const names = accountNames();
  const pathsOf = wanted.flatMap((thing) =>
    thing.is === 'files' ? thing.files.map((file) => file.path) : [],
  );
  return {
    groups: new Set(
      wanted.flatMap((thing) =>
        thing.is === 'group' && findGroup(thing.name) !== undefined ? [thing.name] : [],
      ),
    ),
    users: new Set(
      wanted.flatMap((thing) =>
        thing.is === 'user' && findUser(thing.name) !== undefined ? [thing.name] : [],
      ),
    ),
    directories: new Map(
      wanted.flatMap((thing) => {
        const there = thing.is === 'directory' ? statOf(thing.path, names) : undefined;
        return thing.is === 'directory' && there?.directory ? [[thing.path, there]] : [];
      }),
    ),
    files: new Map(
      pathsOf.flatMap((path) => {
        const there = statOf(path, names);
        return there && !there.directory ? [[path, { ...there, content: readFileSync(path, 'utf8') }]] : [];
      }),
    ),
    secrets: new Set(
      wanted.flatMap((thing) => (thing.is === 'secret' && existsSync(thing.path) ? [thing.path] : [])),
    ),
    storageKeys: wanted.every((thing) => thing.is !== 'storage-keys' || sameKeys(thing.path, thing.keys)),
    due: readDue(paths),
    instance: existsSync(paths.database) && hasAdministrator(paths),
    parts: await supervisor.states(),
    atRest: await supervisor.atRest(),
  };
}

function sameKeys(path: string, keys: StorageCredentials): boolean {
  if (!existsSync(path)) return false;
  try {
    const there = readStorageKeys(path);
    return there.id === keys.id && there.secret.reveal() === keys.secret.reveal();
  } catch (error) {
    if (error instanceof OperatorError) return false;
    throw error;
  }
}

function hasAdministrator(paths: Paths): boolean {
  using store = openStore(paths, { create: false });
  return findMember(store, administratorLogin) !== undefined;
}

type Names = { users: Map<number, string>; groups: Map<number, string> };

function statOf(path: string, names: Names): { mode: number; owner: Owner; directory: boolean } | undefined {
  try {
    const stat = lstatSync(path);
    const owner = {
      user: names.users.get(stat.uid) ?? String(stat.uid),
      group: names.groups.get(stat.gid) ?? String(stat.gid),
    };
    return { mode: stat.mode & 0o7777, owner, directory: stat.isDirectory() };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function accountNames(): Names {
  const read = (file: string) =>
    new Map(
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split(':'))
        .map(([name = '', , id = '']) => [Number(id), name]),
    );
  return { users: read('/etc/passwd'), groups: read('/etc/group') };
}

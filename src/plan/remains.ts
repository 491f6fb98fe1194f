import { basename, dirname, join } from 'node:path';
import type { Paths } from '../config/paths.ts';
import { isWithin } from '../system/files.ts';
import { serviceUsers } from '../system/identity.ts';
import type { RemovalFound } from './removal.ts';
import type { Step } from './steps.ts';

/** Where the replica is, as fossilrepo.yaml says; `folder` when it is one. */
export type ReplicaNamed = {
  url: string;
  folder: string | undefined;
  endpoint: string | undefined;
  region: string | undefined;
};

/** What becomes of the replica. `in`: the folder that it goes with, when it lies in another one. */
export type ReplicaFate =
  { is: 'kept'; url: string } | { is: 'removed'; url: string; in: string | undefined } | { is: 'unknown' };

/** What a removal leaves. */
export type Remains = {
  /** Folders with data that stay. */
  folders: string[];
  /** What install made for these and the record of it: a purge takes it away. */
  made: { users: string[]; groups: string[]; packages: string[]; record: string | undefined };
  replica: ReplicaFate;
  /** A folder that was the replica before fossilrepo.yaml named another one: nobody takes it away. */
  formerReplica: string | undefined;
  /** The replica's folder, when it stays and whose it is goes. */
  ownerless: string | undefined;
};

/**
 * What is left when the steps are done; read off the steps, so that it is true of them whatever the configuration says.
 * @param named undefined when there is no fossilrepo.yaml that says where the replica is
 * @param found.real a path with its links followed: of a link only the link is removed
 */
export function remainsAfter(
  steps: readonly Step[],
  paths: Pick<Paths, 'data' | 'state' | 'configFolder' | 'replica' | 'record'>,
  named: ReplicaNamed | undefined,
  found: Pick<RemovalFound, 'exists' | 'users' | 'groups' | 'packages'> & { real: (path: string) => string },
): Remains {
  const { exists, real } = found;
  const removed = steps.flatMap((step) =>
    step.do === 'remove' ? [join(real(dirname(step.path)), basename(step.path))] : [],
  );
  const goesWith = (folder: string) => removed.find((path) => isWithin(real(folder), path));
  const within = named?.folder === undefined ? undefined : goesWith(named.folder);
  const former =
    named?.folder !== paths.replica && exists(paths.replica) && goesWith(paths.replica) === undefined;
  return {
    folders: [paths.data, paths.state, paths.configFolder].filter(
      (path) => exists(path) && goesWith(path) === undefined,
    ),
    made: {
      users: found.users.filter(
        (name) => !steps.some((step) => step.do === 'remove-user' && step.name === name),
      ),
      groups: found.groups.filter(
        (name) => !steps.some((step) => step.do === 'remove-group' && step.name === name),
      ),
      packages: found.packages.filter(
        (name) => !steps.some((step) => step.do === 'remove-packages' && step.names.includes(name)),
      ),
      record: exists(paths.record) && goesWith(paths.record) === undefined ? paths.record : undefined,
    },
    replica:
      named === undefined
        ? { is: 'unknown' }
        : within === undefined
          ? { is: 'kept', url: named.url }
          : { is: 'removed', url: named.url, in: within === real(named.folder ?? '') ? undefined : within },
    formerReplica: former ? paths.replica : undefined,
    ownerless:
      within === undefined &&
      steps.some((step) => step.do === 'remove-user' && step.name === serviceUsers.management)
        ? named?.folder
        : undefined,
  };
}

/**
 * The same for people: what stays, where, and how it comes back. True before the removal and after it.
 * @param how.install the command that sets a server up when the removal is done
 */
export function describeRemains(
  { folders, made, replica, formerReplica, ownerless }: Remains,
  named: ReplicaNamed | undefined,
  how: { purge: boolean; install: string },
): string {
  const { purge } = how;
  // Of the folders only that of the data outlives a purge.
  const why = purge ? ' (install did not make it, or other files are in it)' : '';
  const stays = [
    ...folders.map((path) => `${path}${why}`),
    ...(replica.is === 'kept' ? [`the replica at ${replica.url}`] : []),
  ];
  return [
    ...(stays.length > 0 ? [`Stays: ${stays.join(', ')}.`] : []),
    ...describeMade(made),
    ...(formerReplica === undefined
      ? []
      : [
          named === undefined
            ? `Stays: ${formerReplica}, where a replica may be.`
            : `Stays: ${formerReplica}, where the replica was before. Delete it yourself when nothing in it is wanted any more.`,
        ]),
    ...describeReplica(replica, named, how),
    ...(ownerless === undefined
      ? []
      : [
          `${ownerless} is for the user ${serviceUsers.management} alone, who goes; a later user may get the same number. Give it to somebody: chown -R root:root ${ownerless}`,
        ]),
  ].join('\n');
}

function describeMade({ users, groups, packages, record }: Remains['made']): string[] {
  const stays = [
    ...namesOf('user', users),
    ...namesOf('group', groups),
    ...(packages.length > 0 ? [`${packages.length} Debian packages that install.sh added`] : []),
    ...(record === undefined ? [] : [`${record}, which remembers what was added`]),
  ];
  return stays.length > 0 ? [`Stays with it, for a later install or purge: ${stays.join('; ')}.`] : [];
}

const namesOf = (noun: string, names: readonly string[]): string[] =>
  names.length === 0 ? [] : [`the ${noun}${names.length > 1 ? 's' : ''} ${names.join(', ')}`];

function describeReplica(
  replica: ReplicaFate,
  named: ReplicaNamed | undefined,
  { purge, install }: { purge: boolean; install: string },
): string[] {
  switch (replica.is) {
    case 'unknown':
      return [
        'There is no fossilrepo.yaml that says where the replica is: wherever it is, it stays as it is.',
      ];
    case 'removed':
      return [
        replica.in === undefined
          ? `The replica at ${replica.url} goes, too.`
          : `The replica at ${replica.url} goes, too, since it lies in ${replica.in}.`,
        'Nothing is left that brings its repositories back, unless it is copied elsewhere before.',
      ];
    case 'kept': {
      const again = `${install} ${fromReplica(replica.url, named)}`;
      return purge
        ? [
            `The replica brings this server back, here or elsewhere: ${again}`,
            'Without the recovery key all but the secrets comes back (--without-secrets). What is not wanted any more is yours to delete there.',
          ]
        : [
            `Nothing is written to the replica meanwhile. ${install} goes on with all of it on this machine;`,
            `on another one the replica brings the server back: ${again}`,
          ];
    }
  }
}

/** The flags that need nothing of this machine. */
function fromReplica(url: string, named: ReplicaNamed | undefined): string {
  return [
    `--from ${url}`,
    ...(named?.endpoint === undefined ? [] : [`--endpoint ${named.endpoint}`]),
    ...(named?.region === undefined ? [] : [`--region ${named.region}`]),
    ...(named?.folder === undefined ? ['--storage-keys FILE'] : []),
    '--recovery-key FILE',
  ].join(' ');
}

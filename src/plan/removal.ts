import type { Paths } from '../config/paths.ts';
import { partNames, unitOf } from '../stack/parts.ts';
import type { Step } from './steps.ts';
import { plainUnits } from './units.ts';

/** What there is to take away. */
export type RemovalFound = {
  /** Of the paths below, those that exist. */
  exists: (path: string) => boolean;
  running: boolean;
  /** What install made, and not the operator. */
  users: readonly string[];
  groups: readonly string[];
  packages: readonly string[];
  /** Groups that these packages made; Debian leaves them. */
  packageGroups: readonly string[];
};

/** The program itself; it goes last, since it is what does the work. */
const programPaths = [
  '/usr/local/bin/fossilrepo',
  ...['', '.new', '.old'].map((left) => `/opt/fossilrepo${left}`),
];

/**
 * Everything that install made, in the reverse order. Data stays unless `purge`: repositories, trash, management database, secrets,
 * certificates, fossilrepo.yaml, and a directory replica; with it the users whose it is, so that their numbers become nobody else's,
 * the packages, and the record of both.
 */
export function planRemoval(
  paths: Paths,
  found: RemovalFound,
  purge: boolean,
  replicaFolder: string | undefined,
): Step[] {
  const units = [...plainUnits, ...partNames.map(unitOf)];
  const remove = (title: string, ...list: string[]): Step[] =>
    list.filter(found.exists).map((path) => ({ do: 'remove', title, path }));
  // The program on this machine is not a part of a server in a folder.
  const program = paths.root === '/' ? programPaths.filter(found.exists) : [];
  // The folders' file goes after systemd has forgotten the units: while it is there, that may not have happened yet.
  const service =
    found.exists(paths.tmpfiles) || units.some((unit) => found.exists(`${paths.units}/${unit}`));
  return [
    ...(found.running
      ? [...partNames].reverse().map((part): Step => ({ do: 'part', part, action: 'stop' }))
      : []),
    ...(service ? [{ do: 'disable' } as const] : []),
    ...remove('the unit', ...units.map((unit) => `${paths.units}/${unit}`)),
    ...(service ? [{ do: 'units' } as const] : []),
    ...remove('the folders below /run', paths.tmpfiles, paths.run),
    ...remove('rendered files', paths.rendered, paths.litestreamConfig),
    ...remove(
      'derived state',
      paths.routes,
      paths.canary,
      paths.mirrors,
      paths.upstreams,
      paths.bundle,
      paths.fossilHome,
      paths.cache,
    ),
    ...remove('logs', paths.log),
    ...(purge
      ? [
          ...remove('the repositories', paths.repos, paths.work, paths.data),
          ...(replicaFolder === undefined ? [] : remove('the replica', replicaFolder)),
          ...remove('the management database and certificates', paths.state),
          ...remove('configuration and secrets', paths.configFolder),
          ...found.users.map((name): Step => ({ do: 'remove-user', name })),
          ...found.groups.map((name): Step => ({ do: 'remove-group', name })),
          ...(found.packages.length > 0
            ? [{ do: 'remove-packages', names: [...found.packages] } satisfies Step]
            : []),
          ...found.packageGroups.map((name): Step => ({ do: 'remove-group', name })),
          // Until here it says what a killed purge has yet to take.
          ...remove('the record of what was installed', paths.record),
        ]
      : []),
    ...(program.length > 0 ? [{ do: 'remove-program', paths: program } satisfies Step] : []),
  ];
}

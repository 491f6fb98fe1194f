import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { type Part, type PartName, partNames, unitOf } from '../stack/parts.ts';
import { commonGroup, serviceUsers } from '../system/identity.ts';
import { renderCaddyfile } from './caddyfile.ts';
import type { LitestreamConfig } from './litestream.ts';
import { renderTmpfiles, renderUnits, standingUnits } from './units.ts';
import type { Owner, Wanted } from './wanted.ts';

/** The texts of `templates/`, by file name. */
export type Templates = Readonly<Record<string, string>>;

/** All that decides what a server consists of. */
export type ServerWish = {
  config: Config;
  paths: Paths;
  /** The text of fossilrepo.yaml. */
  configText: string;
  templates: Templates;
  stack: Record<PartName, Part>;
  /** `systemd`: units. `foreground`: `fossilrepo up` supervises. */
  supervisor: 'systemd' | 'foreground';
  /** Whether parts get users of their own; only root can give them. */
  users: boolean;
  litestream: LitestreamConfig;
  /** The root certificate of the edge's own authority, once it has made one. */
  edgeRoot: string | undefined;
  /** Keys given with the command; undefined: those in place stay. */
  storageKeys: StorageCredentials | undefined;
};

/** Everything that a server consists of, in the order in which it has to come to be. */
export function wantedServer(wish: ServerWish): Wanted[] {
  return [...identities(wish), ...folders(wish), ...contents(wish), ...parts(wish)];
}

function identities({ users, paths }: ServerWish): Wanted[] {
  if (!users) return [];
  return [
    { is: 'group', name: commonGroup },
    { is: 'group', name: serviceUsers.edge },
    { is: 'user', name: serviceUsers.management, group: commonGroup, home: paths.state },
    { is: 'user', name: serviceUsers.repositories, group: commonGroup, home: paths.fossilHome },
    { is: 'user', name: serviceUsers.edge, group: serviceUsers.edge, home: paths.edgeHome },
  ];
}

function folders({ paths, config, users, supervisor }: ServerWish): Wanted[] {
  const owned = (user: string, group: string): { owner?: Owner } => (users ? { owner: { user, group } } : {});
  const root = owned('root', 'root');
  const service = owned(serviceUsers.management, commonGroup);
  const folder = (path: string, mode: number, owner: { owner?: Owner }, data = false): Wanted => ({
    is: 'directory',
    path,
    mode,
    data,
    ...owner,
  });
  const replica = config.replica.url.startsWith('file://')
    ? config.replica.url.slice('file://'.length)
    : undefined;
  const fixed: Wanted[] = [
    folder(paths.configFolder, 0o755, root),
    folder(paths.secrets, 0o700, root, true),
    folder(paths.rendered, 0o755, root),
    folder(paths.state, 0o711, service, true),
    folder(paths.fossilHome, 0o700, owned(serviceUsers.repositories, commonGroup)),
    folder(paths.edgeHome, 0o700, owned(serviceUsers.edge, serviceUsers.edge), true),
    folder(paths.canary, 0o700, service),
    folder(paths.mirrors, 0o700, service),
    folder(paths.bundle, 0o755, root),
    folder(paths.log, 0o750, owned('root', commonGroup)),
    { is: 'directory', path: paths.data, mode: 0o755, data: true, shared: true, ...root },
    // Setgid and group-writable: Fossil and Litestream both write here, the edge may only ask whether a name exists.
    folder(paths.repos, 0o2771, service, true),
    folder(paths.routes, 0o751, service),
    folder(paths.work, 0o700, service, true),
    ...[paths.tmp, paths.trash, paths.undo, paths.rejected].map((path) => folder(path, 0o700, service, true)),
    ...(replica === undefined ? [] : [folder(replica, 0o700, service, true)]),
  ];
  // With systemd these come from tmpfiles.d, at every boot.
  return supervisor === 'systemd'
    ? fixed
    : [
        ...fixed,
        ...runFolders(paths).map(({ path, mode, user, group }) => folder(path, mode, owned(user, group))),
      ];
}

/** The folders below /run/fossilrepo, which a reboot empties. */
export function runFolders(paths: Paths) {
  const { edge, management } = serviceUsers;
  return [
    { path: paths.run, mode: 0o755, user: 'root', group: 'root' },
    { path: paths.closed, mode: 0o751, user: management, group: commonGroup },
    { path: paths.requests, mode: 0o770, user: management, group: commonGroup },
    { path: paths.locks, mode: 0o700, user: management, group: commonGroup },
    { path: paths.syncRequests, mode: 0o700, user: management, group: commonGroup },
    { path: parentOf(paths.litestreamSocket), mode: 0o750, user: management, group: commonGroup },
    { path: parentOf(paths.edgeSocket), mode: 0o700, user: edge, group: edge },
    // Setgid to the edge's group: the socket that serve makes here is one that only the edge can open.
    { path: parentOf(paths.serveSocket), mode: 0o2750, user: management, group: edge },
  ];
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

function contents(wish: ServerWish): Wanted[] {
  const { paths, config, templates, configText, users, supervisor, stack } = wish;
  const root = users ? { owner: { user: 'root', group: 'root' } } : {};
  const service = users ? { owner: { user: serviceUsers.management, group: commonGroup } } : {};
  const text = (path: string, content: string, mode = 0o644, owner: { owner?: Owner } = root) => ({
    path,
    content,
    mode,
    ...owner,
  });
  const wanted: Wanted[] = [
    {
      is: 'files',
      title: 'the configuration',
      files: [text(paths.config, configText)],
      check: 'fossilrepo',
      then: [],
    },
    { is: 'secret', path: `${paths.secrets}/instance-key`, title: 'the instance key' },
    ...storageKeys(wish),
    { is: 'instance' },
    {
      is: 'files',
      title: "Caddy's configuration",
      files: [text(paths.caddyfile, renderCaddyfile(template(templates, 'Caddyfile'), config, paths))],
      check: 'caddy',
      then: [{ part: 'edge', action: 'reload' }],
    },
    ...(wish.edgeRoot === undefined
      ? []
      : [
          {
            is: 'files' as const,
            title: "the root certificate of Caddy's own authority, for people to trust",
            files: [text(paths.edgeRoot, wish.edgeRoot)],
            check: 'certificate' as const,
            then: [],
          },
        ]),
    {
      is: 'files',
      title: "Litestream's configuration",
      files: [text(paths.litestreamConfig, wish.litestream.text, 0o640, service)],
      check: { litestream: wish.litestream.databases },
      then: [{ part: 'replication', action: 'restart' }],
    },
  ];
  if (supervisor === 'foreground') return wanted;
  const units = renderUnits(templates, stack, paths, config);
  return [
    ...wanted,
    {
      is: 'files',
      title: 'the folders below /run',
      files: [text(paths.tmpfiles, renderTmpfiles(template(templates, 'tmpfiles.conf'), runFolders(paths)))],
      check: 'tmpfiles',
      then: [],
    },
    ...units.map(({ name, content, part }): Wanted => ({
      is: 'files',
      title: `the unit ${name}`,
      files: [text(`${paths.units}/${name}`, content)],
      check: 'systemd',
      then: part === undefined ? [] : [{ part, action: 'restart' }],
    })),
  ];
}

function storageKeys({ storageKeys: keys, paths }: ServerWish): Wanted[] {
  if (keys === undefined) return [];
  const then = (['replication', 'management'] as const).map((part) => ({
    part,
    action: 'restart' as const,
  }));
  return [{ is: 'storage-keys', path: `${paths.secrets}/storage`, keys, then }];
}

function parts({ stack, supervisor }: ServerWish): Wanted[] {
  return [
    ...partNames.map((part): Wanted => ({
      is: 'part',
      part: stack[part].name,
      unit: unitOf(part),
      listens: stack[part].listens,
    })),
    ...(supervisor === 'systemd' ? [{ is: 'standing', units: standingUnits } satisfies Wanted] : []),
  ];
}

/** @throws Error when the program's own folder is incomplete */
export function template(templates: Templates, name: string): string {
  const text = templates[name];
  if (text === undefined) throw new Error(`templates/${name} is missing`);
  return text;
}

import { createHash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import { type Paths, ownProgram } from '../config/paths.ts';
import { caddyRun } from '../programs/caddy.ts';
import { fossilEnvironment, fossilServer } from '../programs/fossil.ts';
import { litestreamEnvironment, litestreamReplicate, litestreamUnset } from '../programs/litestream.ts';
import { type Listener, listenersOf } from './listeners.ts';
import { ownRelease } from '../system/version.ts';
import { type ServiceUser, serviceUsers } from '../system/identity.ts';

/** The parts of a running server, in the order in which they start. */
export const partNames = ['repositories', 'replication', 'management', 'edge'] as const;
export type PartName = (typeof partNames)[number];

/** One running part, as data: systemd's units and `fossilrepo up` are both made from it. */
export type Part = {
  name: PartName;
  /** What an operator calls it in one line. */
  title: string;
  user: ServiceUser;
  argv: readonly [string, ...string[]];
  /** `{credentials}` stands for the folder in which the part finds its secrets. */
  env: Readonly<Record<string, string>>;
  /** Names that must not be in its environment, whoever set them. */
  unset: readonly string[];
  /** Files of the secrets folder that the part may read. */
  credentials: readonly ('instance-key' | 'storage')[];
  /** Where it answers over TCP. */
  listens: readonly Listener[];
  /** Whether it opens ports below 1024. */
  lowPorts: boolean;
};

/** systemd's name for a part. */
export const unitOf = (part: PartName) => `fossilrepo-${part}.service`;

/** The parts of this server. @param hasStorageKeys whether the replica needs keys */
export function stackOf(config: Config, paths: Paths, hasStorageKeys: boolean): Record<PartName, Part> {
  const storage = hasStorageKeys ? (['storage'] as const) : [];
  const fossil = fossilServer(config.programs.fossil, { repos: paths.repos, port: config.ports.fossil });
  const caddy = caddyRun(paths, config.programs.caddy);
  const litestream = litestreamReplicate(config.programs.litestream, paths.litestreamConfig);
  const listeners = listenersOf(config);
  // Another program is another way of starting a part: an update restarts it.
  const release = { FOSSILREPO_RELEASE: ownRelease() };
  return {
    repositories: {
      name: 'repositories',
      title: 'Fossil: pages, clones and pushes',
      user: serviceUsers.repositories,
      argv: fossil.argv,
      env: { ...fossilEnvironment(paths.fossilHome), ...release },
      unset: [],
      credentials: [],
      listens: listeners.repositories,
      lowPorts: false,
    },
    replication: {
      name: 'replication',
      title: 'Litestream: every commit to the replica',
      user: serviceUsers.management,
      argv: litestream.argv,
      env: {
        HOME: paths.state,
        ...release,
        GOGC: '50',
        ...litestreamEnvironment(hasStorageKeys ? '{credentials}/storage' : undefined),
      },
      unset: litestreamUnset,
      credentials: storage,
      listens: [],
      lowPorts: false,
    },
    management: {
      name: 'management',
      title: 'fossilrepo: health, sign-in, adoption, mending',
      user: serviceUsers.management,
      argv: [ownProgram, '--root', paths.root, 'serve'],
      env: {
        HOME: paths.state,
        ...release,
        // It reads the configuration when it starts: another one is another way of starting it.
        FOSSILREPO_CONFIGURATION: digestOf(config),
        FOSSILREPO_CACHE: paths.cache,
        // Node lets what is young in memory grow by what the machine has: 50 MB more on a large one, for nothing.
        NODE_OPTIONS: '--max-semi-space-size=1 --v8-pool-size=1',
        // The C library keeps memory for each thread that once asked for some.
        MALLOC_ARENA_MAX: '2',
      },
      unset: [],
      credentials: ['instance-key', ...storage],
      listens: [],
      lowPorts: false,
    },
    edge: {
      name: 'edge',
      title: 'Caddy: names, certificates, TLS',
      user: serviceUsers.edge,
      argv: caddy.argv,
      // Go's collector runs when memory has grown by half of what is in use, not by all of it.
      env: { ...caddy.env, ...release, GOGC: '50' },
      unset: [],
      credentials: [],
      listens: listeners.edge,
      lowPorts: Math.min(config.ports.http, config.ports.https, config.ports.repositories) < 1024,
    },
  };
}

const digestOf = (config: Config) =>
  createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);

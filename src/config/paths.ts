import { join, resolve } from 'node:path';
import { OperatorError } from '../errors.ts';

/** A Unix socket's path is cut at 108 bytes by Linux (sun_path, one for the final zero). */
const longestSocket = 107;

/** Where everything is. Every path in the program comes from here. */
export type Paths = ReturnType<typeof pathsUnder>;

/** The program's own folder: `/opt/fossilrepo` on a server, the checkout for a developer. */
export const programHome = resolve(import.meta.dirname, '../..');

/** The command itself, to be started again in a process of its own. */
export const ownProgram = join(programHome, 'bin/fossilrepo');

/**
 * The layout of a whole server below one folder. `/` is the server itself; anything else is a server in a folder.
 * @throws OperatorError when the folder's name is so long that sockets below it could not be opened
 */
export function pathsUnder(root = '/') {
  const at = (path: string) => join(resolve(root), path);
  const paths = {
    root: resolve(root),
    config: at('etc/fossilrepo/fossilrepo.yaml'),
    configFolder: at('etc/fossilrepo'),
    secrets: at('etc/fossilrepo/secrets'),
    /** The public half of the recovery key, to which root seals the bundle: root's own, since whoever can change it reads the next one. */
    recovery: at('etc/fossilrepo/recovery.json'),
    /** The machine's SSH host keys are here. */
    hostKeys: at('etc/ssh'),
    units: at('etc/systemd/system'),
    tmpfiles: at('etc/tmpfiles.d/fossilrepo.conf'),
    data: at('data'),
    repos: at('data/repos'),
    /** One empty file for each name that the edge answers for; derived from the management database. */
    routes: at('data/routes'),
    work: at('data/work'),
    tmp: at('data/work/tmp'),
    trash: at('data/work/trash'),
    undo: at('data/work/undo'),
    /** What was put into `repos` and could not be served: symlinks, files that are no repository, names that cannot be routed. */
    rejected: at('data/work/rejected'),
    state: at('var/lib/fossilrepo'),
    database: at('var/lib/fossilrepo/fossilrepo.db'),
    litestreamConfig: at('var/lib/fossilrepo/litestream.yml'),
    /** What install made here (users, folders, packages), so that a purge takes away just that; root's own, and kept by `uninstall`. */
    record: at('var/lib/fossilrepo-install'),
    installed: at('var/lib/fossilrepo-install/installed.json'),
    groupsAdded: at('var/lib/fossilrepo-install/groups-added'),
    /** What a restore of the whole server has yet to do; it is there while that is not at its end. */
    bringing: at('var/lib/fossilrepo-install/bringing.json'),
    packagesAdded: at('var/lib/fossilrepo-install/packages-added'),
    /** The sealed bundle on its way to the replica. Not below `state`: root writes here, and the service user could put a link there. */
    bundle: at('var/lib/fossilrepo-bundle'),
    sealed: at('var/lib/fossilrepo-bundle/sealed.json'),
    /** What root remembers of the last sealing; written at each look. */
    lastSealed: at('var/lib/fossilrepo-bundle/last.json'),
    canary: at('var/lib/fossilrepo/canary'),
    /** One bare Git repository for each that has mirrors, by its id: derived, made anew with the same hashes. */
    mirrors: at('var/lib/fossilrepo/mirror'),
    /** What was fetched from upstreams, by repository's id: derived, may be deleted and is fetched again. */
    upstreams: at('var/lib/fossilrepo/upstream'),
    /** The management part's compiled modules. */
    cache: at('var/lib/fossilrepo/cache'),
    fossilHome: at('var/lib/fossilrepo/home/fossil'),
    edgeHome: at('var/lib/fossilrepo/home/edge'),
    caddyfile: at('etc/fossilrepo/rendered/Caddyfile'),
    rendered: at('etc/fossilrepo/rendered'),
    /** With `tls: internal`, the certificate that clients have to trust: a copy for all to read of what the edge keeps to itself. */
    edgeRoot: at('etc/fossilrepo/rendered/root.crt'),
    replica: at('var/backups/fossilrepo'),
    log: at('var/log/fossilrepo'),
    run: at('run/fossilrepo'),
    closed: at('run/fossilrepo/closed'),
    /** The loop leaves a file here to ask the root one-shot to give dropped-in files to the right owner. */
    requests: at('run/fossilrepo/requests'),
    /** The loop leaves a file here when it is time for a mirror. */
    syncRequests: at('run/fossilrepo/sync'),
    locks: at('run/fossilrepo/locks'),
    /** What parts have yet to do because of files that were written; a reboot, which restarts everything, empties it. */
    due: at('run/fossilrepo/due.json'),
    /** What `fossilrepo up` runs: its process and its parts' processes. */
    up: at('run/fossilrepo/up.json'),
    /** What the loop last saw and did. */
    loop: at('run/fossilrepo/serve/loop.json'),
    /** Copies of secrets for parts that `fossilrepo up` starts as other users. */
    credentials: at('run/fossilrepo/credentials'),
    litestreamSocket: at('run/fossilrepo/litestream/control.sock'),
    edgeSocket: at('run/fossilrepo/edge/admin.sock'),
    serveSocket: at('run/fossilrepo/serve/http.sock'),
  } as const;
  for (const socket of [paths.litestreamSocket, paths.edgeSocket, paths.serveSocket])
    if (Buffer.byteLength(socket) > longestSocket)
      throw new OperatorError(
        `${paths.root} is too long a folder name: ${socket} would be over ${longestSocket} bytes.`,
        {
          next: 'Use a folder with a shorter path.',
          exit: 'usage',
        },
      );
  return paths;
}

/** The live file of a repository. */
export const repositoryFile = (paths: Pick<Paths, 'repos'>, name: string) =>
  join(paths.repos, `${name}.fossil`);

/** A file whose existence makes the edge answer 503 for the name. */
export const closedMark = (paths: Pick<Paths, 'closed'>, name: string) => join(paths.closed, name);

/** A file whose existence makes the edge answer for the name at all. */
export const routeMark = (paths: Pick<Paths, 'routes'>, name: string) => join(paths.routes, name);

/** The folder that Litestream 0.5 keeps beside a database; it moves with the file. */
export const litestreamState = (file: string) =>
  join(file, '..', `.${file.slice(file.lastIndexOf('/') + 1)}-litestream`);

import { OperatorError } from '../errors.ts';
import type { Secret } from '../secrets/secret.ts';
import type { Command } from '../system/run.ts';

/** The oldest Fossil that this program was tested with: Debian 12's. */
export const oldestFossil = [2, 21] as const;

/**
 * What Fossil needs around it: a home that it may write (it keeps a list of repositories there and reads settings from it
 * that hold for all of them), and a user's name, without which `init` fails in a service.
 */
export const fossilEnvironment = (home: string): Record<string, string> => ({
  FOSSIL_HOME: home,
  HOME: home,
  USER: 'fossilrepo',
});

type Place = { home: string };

/**
 * A new, empty repository. It prints a password and keeps it in clear text, and everybody may clone it: give it its
 * identity and project access into it before it is served. The description isn't an argument: Fossil 2.21 takes one that
 * reads `--args` as an order to read a file.
 */
export const fossilInit = (
  program: string,
  init: Place & { file: string; adminUser: string; name: string },
): Command => ({
  argv: [program, 'init', '--admin-user', init.adminUser, '--project-name', init.name, init.file],
  env: fossilEnvironment(init.home),
});

/** Writes everything that follows from the artifacts anew, and the file without holes. It drops the tables of others (rebuild.c). */
export const fossilRebuild = (program: string, rebuild: Place & { file: string }): Command => ({
  argv: [program, 'rebuild', '--quiet', '--vacuum', rebuild.file],
  env: fossilEnvironment(rebuild.home),
  timeout: 24 * 3_600_000,
});

/**
 * One server for a folder of repositories, on loopback, without an environment: that is its unit's. Never with
 * `--localauth`, which signs in whoever comes from this machine, and so the whole world behind a proxy; and not with
 * `--repolist`, whose page shows private names.
 */
export const fossilServer = (program: string, server: { repos: string; port: number }): Command => ({
  argv: [program, 'server', '--localhost', '--port', String(server.port), '--nojail', server.repos],
});

/**
 * A copy of a repository that is served elsewhere, with its private branches where the login may read them, and its
 * unversioned files. The address may hold a password: it goes through standard input, and Fossil is told to forget it.
 * While it transfers it says something in each round, from 2.25 on only when told to be verbose (client_sync in xfer.c). What it prints
 * after that is a percentage; compressing and compacting then are silent however long they take (clone.c).
 * @param clone.url `http://` or `https://`, with `LOGIN:PASSWORD@` when needed
 */
export const fossilClone = (
  program: string,
  clone: Place & { url: Secret; file: string; adminUser: string },
): Command => ({
  argv: [program, 'clone', '--args', '-'],
  input: [
    '--no-open',
    '--once',
    '--unversioned',
    '--verbose',
    '--admin-user',
    clone.adminUser,
    clone.url.reveal(),
    clone.file,
  ].join('\n'),
  env: fossilEnvironment(clone.home),
  group: true,
  quietUntil: '% complete...',
});

/**
 * A clone of a file on this machine: Fossil copies it, takes private artifacts away, and works out anew all that follows from the
 * artifacts (clone.c), as in every clone. What it needs besides the copy lies in `home`, too.
 */
export const fossilCloneFile = (program: string, clone: Place & { from: string; file: string }): Command => ({
  argv: [
    program,
    ...['clone', '--no-open', '--once', '--nocompress', '--admin-user', 'fossilrepo'],
    clone.from,
    clone.file,
  ],
  env: { ...fossilEnvironment(clone.home), SQLITE_TMPDIR: clone.home },
  accept: [1],
  timeout: 24 * 3_600_000,
});

/** Checks the hash of every artifact. It answers 0 whatever it finds: see `readTestIntegrity`. */
export const fossilTestIntegrity = (program: string, test: Place & { file: string }): Command => ({
  argv: [program, 'test-integrity', '--repository', test.file],
  env: fossilEnvironment(test.home),
  accept: [1],
  timeout: 24 * 3_600_000,
});

/**
 * Writes files and check-ins to standard output as `git fast-import` reads them (export.c). It is called deprecated, and is still there in
 * Fossil 2.29.
 */
export const fossilExport = (program: string, from: Place & { file: string }): Command => ({
  argv: [program, 'export', '--git', from.file],
  env: { ...fossilEnvironment(from.home), SQLITE_TMPDIR: from.home },
  timeout: 24 * 3_600_000,
});

export const fossilVersion = (program: string): Command => ({
  argv: [program, 'version', '--verbose'],
  env: { USER: 'fossilrepo' },
  timeout: 10_000,
});

export type FossilVersion = {
  version: readonly [number, number];
  /** Built with Tcl: a repository's settings could then run commands where libtcl is found. */
  tcl: boolean;
};

/**
 * What `fossil version --verbose` printed.
 * @throws OperatorError when it is no Fossil, or older than `oldestFossil`
 */
export function readFossilVersion(stdout: string): FossilVersion {
  const found = /This is fossil version (\d+)\.(\d+)/.exec(stdout);
  if (!found) throw new OperatorError('This program does not say which version of Fossil it is.');
  const version = [Number(found[1]), Number(found[2])] as const;
  if (isOlder(version, oldestFossil))
    throw new OperatorError(`Fossil ${version.join('.')} is too old: ${oldestFossil.join('.')} is needed.`, {
      next: 'Install a newer Fossil, or name one under programs.fossil in fossilrepo.yaml.',
    });
  return { version, tcl: /^TCL \(/m.test(stdout) };
}

/** Whether the first version came before the second. */
export const isOlder = (one: readonly [number, number], other: readonly [number, number]): boolean =>
  one[0] === other[0] ? one[1] < other[1] : one[0] < other[0];

/** Puts a file's present content into a clone as an unversioned file of the same name. */
export const fossilAddUnversioned = (
  program: string,
  add: Place & { clone: string; file: string; name: string },
): Command => ({
  argv: [program, 'unversioned', 'add', add.file, '--as', add.name, '--repository', add.clone],
  env: fossilEnvironment(add.home),
});

/**
 * Exchanges unversioned files with a server. It answers 0 when it was refused, too: look at the server. Writing needs the letter
 * `y`; Setup alone is not enough (xfer.c says `uv-pull-only`).
 */
export const fossilSyncUnversioned = (
  program: string,
  sync: Place & { clone: string; url: Secret },
): Command => ({
  argv: [program, 'unversioned', 'sync', '--args', '-'],
  input: [sync.url.reveal(), '--repository', sync.clone].join('\n'),
  env: fossilEnvironment(sync.home),
  timeout: 60_000,
});

/** A new repository without any check-in, which `init` would make: an import of nothing. It prints a password. */
export const fossilMakeEmpty = (
  program: string,
  made: Place & { file: string; adminUser: string },
): Command => ({
  argv: [
    program,
    ...['import', '--git', '--quiet', '--no-vacuum', '--admin-user', made.adminUser],
    made.file,
  ],
  env: fossilEnvironment(made.home),
});

/**
 * Takes what another repository has. It answers 0 whatever happens: see `readPull`. The address may hold a password: it goes through standard
 * input, and Fossil is told to forget it.
 * @param pull.user a login that the file knows: Fossil wants one
 */
export const fossilPull = (
  program: string,
  pull: Place & { file: string; from: Secret; user: string },
): Command => ({
  argv: [program, 'pull', '--args', '-'],
  input: [pull.from.reveal(), '--repository', pull.file, '--once'].join('\n'),
  env: { ...fossilEnvironment(pull.home), FOSSIL_USER: pull.user },
  accept: [1],
  group: true,
});

/**
 * Asks for a page the way that `pull` asks (proxy, certificates), without a login: only whether anybody answers, whatever it is. `pull`
 * itself may be silent for as long as it takes.
 */
export const fossilAsk = (program: string, ask: Place & { url: string }): Command => ({
  argv: [program, 'test-httpmsg', '--args', '-'],
  input: ask.url,
  env: fossilEnvironment(ask.home),
  accept: [1],
  group: true,
});

/** What became of a pull: how many artifacts came, or what Fossil or the other side said against it. */
export type Pulled = { received: number; problem: string | undefined };

/**
 * Reads what `fossil pull` said (http.c, xfer.c): it tells of a refused login, of an address where nobody answers and of another project
 * in words only.
 * @param remote false when the other side is a file
 */
export function readPull(said: { stdout: string; stderr: string; code: number }, remote: boolean): Pulled {
  const lines = `${said.stderr}\n${said.stdout}`.split(/[\r\n]+/).map((line) => line.trim());
  const against = lines.filter((line) =>
    /^(Error:|server says:|cannot |can't |unable |.*(wrong project|certificate|SSL|protocol error|not a fossil|missing or incorrect))/i.test(
      line,
    ),
  );
  const received = lines
    .map((line) => Number(/received: (\d+)$/.exec(line.split('Round-trips').at(-1) ?? '')?.[1] ?? 0))
    .reduce((most, count) => Math.max(most, count), 0);
  const [, from] = /^Pull done, .* remote:(.*)$/m.exec(said.stdout) ?? [];
  const silent = from === undefined || (remote && from.trim() === '');
  if (said.code === 0 && against.length === 0 && !silent) return { received, problem: undefined };
  const last = lines.filter((line) => line !== '' && !/^(Round-trips|Pull done)/.test(line)).slice(-3);
  return { received, problem: (against.length > 0 ? against : last).join(' · ') || 'nobody answered' };
}

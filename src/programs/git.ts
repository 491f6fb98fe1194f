import type { Command } from '../system/run.ts';

const git = 'git';

/** How long work with a remote may take. Milliseconds. */
export type RemoteLimits = {
  /** In all, for a question: listing refs, trying a credential, reading host keys. */
  ask: number;
  /** Without any sign of life, while objects go over. A server that checks what it got says something every few seconds. */
  quiet: number;
  /** In all, while objects go over. */
  total: number;
};

/** Files of one remote in its folder. The scripts in `bin/` know these names. */
export const remoteFiles = {
  gitConfig: 'gitconfig',
  sshConfig: 'ssh_config',
  origin: 'origin',
  user: 'user',
  token: 'token',
  key: 'key',
  knownHosts: 'known_hosts',
} as const;

/**
 * The environment of a git that talks to one remote. Nothing of the machine's or a person's own configuration counts, nobody is asked, and
 * only this remote's protocol is spoken, also by what a server sends on to. Secrets are in files of `folder`, never here.
 * @param place.program the program's own folder @param place.folder the remote's files @param place.roots PEM file of certificate authorities
 */
export const gitRemoteEnvironment = (place: {
  program: string;
  folder: string;
  protocol: string;
  quiet: number;
  roots: string | undefined;
}): Record<string, string> => ({
  // Git's HTTP client reads a .netrc there.
  HOME: place.folder,
  XDG_CONFIG_HOME: place.folder,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: `${place.folder}/${remoteFiles.gitConfig}`,
  GIT_ATTR_NOSYSTEM: '1',
  GIT_ASKPASS: `${place.program}/bin/git-askpass`,
  GIT_TERMINAL_PROMPT: '0',
  GIT_SSH: `${place.program}/bin/git-ssh`,
  GIT_SSH_VARIANT: 'ssh',
  GIT_ALLOW_PROTOCOL: place.protocol,
  GIT_HTTP_LOW_SPEED_LIMIT: '1',
  GIT_HTTP_LOW_SPEED_TIME: String(Math.ceil(place.quiet / 1000)),
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  // Its words are read.
  LC_ALL: 'C',
  ...(place.roots !== undefined && { GIT_SSL_CAINFO: place.roots }),
  FOSSILREPO_REMOTE: place.folder,
});

/**
 * The only configuration that git sees besides a repository's own. Redirects are not followed: the next host would be asked for, and given,
 * the token. No `safe.directory`: a folder of another user's runs that user's hooks as us.
 */
export const gitRemoteConfig = `[credential]
	helper =
[http]
	followRedirects = false
[push]
	default = nothing
	followTags = false
	recurseSubmodules = no
	gpgSign = false
[fetch]
	recurseSubmodules = no
	writeCommitGraph = false
`;

/** Every branch and tag of a remote, with what tags point to left out. */
export const gitListRefs = (url: string): Command => ({
  argv: [git, 'ls-remote', '--refs', '--heads', '--tags', '--', url],
});

/**
 * Clones a remote that has no branch yet, whose HEAD names the one that it waits for.
 * @param usual what HEAD is then where the remote doesn't tell (Git before 2.31, or an older protocol)
 */
export const gitCloneEmpty = (url: string, folder: string, usual: string): Command => ({
  argv: [git, '-c', `init.defaultBranch=${usual}`, 'clone', '--quiet', '--bare', '--', url, folder],
});

/** One ref's change: `to` undefined deletes it; `expected` is what the remote must still have, undefined for nothing. */
export type RefUpdate = { ref: string; to: string | undefined; expected: string | undefined };

const refspec = ({ ref, to }: RefUpdate): string => `${to ?? ''}:${ref}`;
const lease = ({ ref, expected }: RefUpdate): string => `--force-with-lease=${ref}:${expected ?? ''}`;

/** Bytes that one ref takes in the command line of a push. */
export const pushLength = (update: RefUpdate): number => refspec(update).length + lease(update).length + 2;

/** Pushes refs, each only if the remote still has what was seen there. Answers 1 when some were refused, 128 when it broke off. */
export const gitPush = (
  folder: string,
  url: string,
  updates: readonly RefUpdate[],
  options: { dryRun?: boolean } = {},
): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    'push',
    ...['--porcelain', '--progress', '--no-verify', '--no-signed', '--no-follow-tags'],
    ...(options.dryRun === true ? ['--dry-run'] : []),
    ...updates.map(lease),
    '--',
    url,
    ...updates.map(refspec),
  ],
  accept: [1],
});

/** A repository without files. It must not exist, or be one. */
export const gitInitBare = (folder: string): Command => ({
  argv: [git, 'init', '--quiet', '--bare', '--object-format=sha1', '--initial-branch=main', folder],
});

/** Writes one object, from its text on standard input, and says its hash. */
export const gitHashObject = (folder: string, type: 'commit' | 'tree', text: string): Command => ({
  argv: [git, `--git-dir=${folder}`, 'hash-object', '-w', '-t', type, '--stdin'],
  input: text,
});

/** Says for each hash whether the repository has it: `HASH commit` or `HASH missing`. */
export const gitTypes = (folder: string, hashes: readonly string[]): Command => ({
  argv: [git, `--git-dir=${folder}`, 'cat-file', '--batch-check=%(objectname) %(objecttype)'],
  input: `${hashes.join('\n')}\n`,
});

/** The hashes of the commits that `tips` lead to and `known` don't; hashes that are nowhere count for nothing. */
export const gitBeyond = (folder: string, tips: readonly string[], known: readonly string[]): Command => ({
  argv: [git, `--git-dir=${folder}`, 'rev-list', '--ignore-missing', '--stdin'],
  input: [...tips, ...known.map((hash) => `^${hash}`), ''].join('\n'),
});

/** Fetches refs with the commits behind them, `depth` deep, without files where the server can leave them out. */
export const gitFetchCommits = (
  folder: string,
  url: string,
  refspecs: readonly string[],
  depth: number,
): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    'fetch',
    ...['--progress', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance'],
    ...[`--depth=${depth}`, '--filter=tree:0'],
    '--',
    url,
    ...refspecs,
  ],
});

/** What the log of a ref holds beyond known commits, newest first: read it with `readLog`. */
export const gitLog = (folder: string, ref: string, known: readonly string[], most: number): Command => ({
  argv: [
    git,
    `--git-dir=${folder}`,
    'log',
    ...['--no-show-signature', '--no-decorate', '--encoding=UTF-8', '--ignore-missing', '-z'],
    ...[`--max-count=${most}`, '--format=%H%x1f%an%x1f%ae%x1f%aI%x1f%s', '--stdin'],
  ],
  input: [ref, ...known.map((hash) => `^${hash}`), ''].join('\n'),
});

/** Where HEAD of a repository on this machine points, also when nothing is there yet. @param folder may have a work tree */
export const gitReadHead = (folder: string): Command => ({
  argv: [git, '-C', folder, 'symbolic-ref', 'HEAD'],
});

/** Points HEAD of a repository on this machine at a branch. */
export const gitPointHead = (folder: string, ref: string): Command => ({
  argv: [git, '-C', folder, 'symbolic-ref', 'HEAD', ref],
});

import { OperatorError } from '../../errors.ts';
import { ownLines, readRemoteText } from '../../programs/git-output.ts';
import type { Ended } from '../../system/run.ts';
import { type RemoteAddress, withoutPasswords } from './address.ts';

/**
 * Why a remote could not be worked with. `unreachable`: nobody answers, or not as Git does. `missing`: somebody answers, and has no such
 * repository, or hides it from this credential. `credential`: refused, or not allowed to push. `host-key`: its SSH host key is not the pinned
 * one. `rejected`: it took the credential and refused refs. `diverged`: it has what we never pushed. `timeout`: it did not go on.
 */
export type RemoteErrorKind =
  'unreachable' | 'missing' | 'credential' | 'host-key' | 'rejected' | 'diverged' | 'timeout';

/** A remote that could not be worked with, in plain words; what git said comes with it, without secrets. */
export class RemoteError extends OperatorError {
  override name = 'RemoteError';
  readonly kind: RemoteErrorKind;
  /** What the remote itself wrote for people, line by line. */
  readonly said: readonly string[];

  constructor(
    kind: RemoteErrorKind,
    message: string,
    options: { next?: string; said?: readonly string[] } = {},
  ) {
    super(message, options.next === undefined ? {} : { next: options.next });
    this.kind = kind;
    this.said = options.said ?? [];
  }
}

/** Until something is changed, trying these again can't help, and may lock an account. */
export const needsMending = (kind: RemoteErrorKind): boolean => kind === 'credential' || kind === 'host-key';

type Explanation = { kind: RemoteErrorKind; what: string; next: string };

const tryAgain = 'It is tried again by itself; look whether the server is up and this one may reach it.';
const giveAnother = 'Give another credential; where the host wants a name with it, say --user.';

/** What git and ssh print, in the order in which it is looked for. `HOST` stands for the remote's host, or its folder. */
const explanations: readonly (readonly [RegExp, RemoteErrorKind, string, string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    'host-key',
    'HOST shows another SSH host key than the one that was pinned',
    'If its keys were exchanged on purpose, read and pin them anew; else somebody stands in between. Nothing was sent.',
  ],
  [
    /Host key verification failed|No \S+ host key is known|no matching host key type|Unable to negotiate .* host key/,
    'host-key',
    'the SSH host key of HOST is not among those that were pinned',
    'Read and pin its host keys after comparing their fingerprints. Nothing was sent.',
  ],
  [
    /Operation too slow|timed out during banner exchange|[Tt]imeout, server .* not responding/,
    'timeout',
    'HOST answered and then said nothing more',
    tryAgain,
  ],
  [
    /Read-only file system/,
    'credential',
    'HOST is on a file system that may not be written',
    'A unit of systemd may write only where it says: add the folder (systemctl edit fossilrepo-sync, ReadWritePaths=).',
  ],
  [
    /detected dubious ownership/,
    'credential',
    'HOST belongs to another user than the one that works on it',
    'Give the folder to the user fossilrepo (chown -R): git refuses other people’s, whose hooks would run.',
  ],
  [
    /No user exists for uid/,
    'credential',
    'the user that git runs as has no entry in /etc/passwd, without which ssh does nothing',
    'Give this user an entry there.',
  ],
  [
    /could not read (Username|Password)/,
    'credential',
    'HOST wants a credential, and was given none',
    'Give a token at the terminal or with --token-stdin; where the host wants a name with it, say --user.',
  ],
  [
    /Permission denied \([^)]*publickey/,
    'credential',
    'HOST refused the credential',
    'Install the deploy key there, with the right to push where it is a mirror, and try again; or give another credential.',
  ],
  [
    /Authentication failed for|Permission denied \(|error: 401|Too many authentication failures/,
    'credential',
    'HOST refused the credential',
    giveAnother,
  ],
  [
    /(maintenance|read.only) mode|(under|down for|in) maintenance|read.only instance/i,
    'unreachable',
    'HOST is being maintained and takes nothing meanwhile',
    'It is tried again by itself.',
  ],
  [
    /error: 403|marked as read only|read.only|not allowed to push|denied to |access denied|Write access .* not granted|insufficient permission|Permission denied|Permission to .* denied/i,
    'credential',
    'HOST does not let this credential push',
    giveAnother,
  ],
  [
    /[Rr]epository .* not found|error: 404|does not appear to be a git repository|[Rr]epository not found|project you were looking for could not be found/,
    'missing',
    'HOST has no such repository, or hides it from this credential',
    'Create it there, or correct the address; a private one is hidden from credentials without access.',
  ],
  [
    /error: 413|HTTP 413/,
    'rejected',
    'HOST takes no request as large as this push',
    'Raise what the proxy in front of it takes, or use SSH.',
  ],
  [
    /update url base from redirection|error: 30[12378]/,
    'unreachable',
    'HOST sends on to another address, which is not followed: it would get the credential',
    'Remove it and add it with the new address; many hosts want .git at its end.',
  ],
  [
    /certificate/i,
    'unreachable',
    'HOST could not prove with its certificate who it is',
    'Look at its certificate; a company’s own authority belongs to the system’s (update-ca-certificates).',
  ],
  [
    /recv error|send error|non-properly terminated|gnutls_handshake|SSL_\w+|Connection reset|hung up unexpectedly|early EOF|unexpected disconnect/,
    'unreachable',
    'the connection to HOST broke off',
    tryAgain,
  ],
  [/Could not resolve/, 'unreachable', 'the name HOST is not known', 'Look whether the address is right.'],
  [
    /(Failed to|Could not|Couldn't) connect|[Cc]onnection refused|timed out|No route|unreachable/,
    'unreachable',
    'nobody answers at HOST',
    tryAgain,
  ],
];

/** What git says whatever happened. */
const empty =
  /^(To |hint:|Total |Delta |fatal: Could not read from remote|Please make sure you have|and the repository exists|error: failed to push some)/;

/**
 * Puts what git said into words.
 * @param stderr all of its standard error @param ended how it ended
 */
export function explain(address: RemoteAddress, stderr: string, ended: Ended): RemoteError {
  const said = readRemoteText(stderr).map(withoutPasswords);
  const own = ownLines(stderr)
    .filter((line) => !empty.test(line))
    .map(withoutPasswords);
  const { kind, what, next } = explanationOf(withoutNames(stderr, address), ended);
  const local = address.protocol === 'file';
  const host = address.host === '' ? address.path : address.host;
  const shown = [...own.slice(-3), ...said.slice(0, 3).map((line) => `it says: ${line}`)].join(' · ');
  return new RemoteError(
    kind,
    `${address.url}: ${(local ? what.replace('this credential', 'the user that works on it') : what).replace('HOST', () => host)}.${shown && ` (${shown.slice(0, 600)})`}`,
    { next: local && next === giveAnother ? 'Give this user the right to write there.' : next, said },
  );
}

/** Git repeats the address, and a repository may be called `read-only`. */
function withoutNames(stderr: string, { url, path }: RemoteAddress): string {
  return stderr.replaceAll(url, 'URL').replaceAll(`'${path}'`, 'PATH');
}

function explanationOf(stderr: string, ended: Ended): Explanation {
  if (ended === 'took too long')
    return { kind: 'timeout', what: 'HOST did not get on in time, and the work was ended', next: tryAgain };
  if (ended === 'stopped')
    return {
      kind: 'timeout',
      what: 'the work was stopped',
      next: 'Run it again; it goes on from what is there.',
    };
  if (ended === 'could not run')
    return {
      kind: 'unreachable',
      what: 'git could not be started',
      next: 'Install the Debian packages git and openssh-client.',
    };
  const found = explanations.find(([pattern]) => pattern.test(stderr));
  if (found) return { kind: found[1], what: found[2], next: found[3] };
  return { kind: 'unreachable', what: 'HOST did not answer as Git does', next: tryAgain };
}

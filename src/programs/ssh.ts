import { createHash } from 'node:crypto';
import type { Command } from '../system/run.ts';
import { remoteFiles } from './git.ts';

/**
 * What ssh does for one remote, whoever runs it: this key and no other, these host keys and no other, and never a question. Names of files are
 * relative to its folder, where `bin/git-ssh` starts it.
 */
export const sshRemoteConfig = (options: { key: boolean; ask: number }): string => `Host *
  IdentityFile ${options.key ? `./${remoteFiles.key}` : 'none'}
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ./${remoteFiles.knownHosts}
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  VerifyHostKeyDNS no
  CanonicalizeHostname no
  ConnectTimeout ${Math.ceil(options.ask / 2000)}
  ServerAliveInterval 15
  ServerAliveCountMax 4
  ClearAllForwardings yes
  ForwardAgent no
  PermitLocalCommand no
  ControlMaster no
  ControlPath none
  LogLevel ERROR
`;

/** Asks a server for its host keys, in the form of `known_hosts`. It answers 0, or 1, with nothing when nobody is there. */
export const sshKeyscan = (at: { host: string; port: number | undefined }, timeout: number): Command => ({
  argv: [
    'ssh-keyscan',
    ...['-T', String(Math.ceil(timeout / 2000))],
    ...['-p', String(at.port ?? 22), '-t', 'ed25519,ecdsa,rsa', '--', at.host],
  ],
  accept: [1],
  group: true,
  timeout,
});

/** One host key: `ssh-ed25519`, its fingerprint as `ssh` shows it (`SHA256:…`), and its line in `known_hosts`. */
export type HostKey = { type: string; fingerprint: string; line: string };

/** Reads `known_hosts` lines, as `ssh-keyscan` prints them; comments and what is no key are left out. */
export function readHostKeys(text: string): HostKey[] {
  return text.split('\n').flatMap((line) => {
    const [name, type, key] = line.trim().split(/\s+/);
    if (name === undefined || name.startsWith('#') || type === undefined || key === undefined) return [];
    if (!/^(ssh|ecdsa)-[\w-]+$/.test(type) || !/^[A-Za-z0-9+/]+=*$/.test(key)) return [];
    return [{ type, fingerprint: fingerprintOf(key), line: `${name} ${type} ${key}` }];
  });
}

/** A public key's fingerprint. @param key the middle field of its line, in base64 */
export const fingerprintOf = (key: string): string =>
  `SHA256:${createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64').replace(/=+$/, '')}`;

import { OperatorError } from '../../errors.ts';
import { type HostKey, readHostKeys, sshKeyscan } from '../../programs/ssh.ts';
import { CommandError, type Run } from '../../system/run.ts';
import { remoteAddress } from './address.ts';
import { RemoteError } from './error.ts';

/** What a server shows as its host keys. Only its owner can say whether these are them: show the fingerprints before pinning. */
export type HostKeys = {
  keys: HostKey[];
  /** To be kept with the remote: lines of `known_hosts`. */
  text: string;
};

/**
 * Asks the SSH server of a remote for its host keys.
 * @param timeout milliseconds
 * @throws RemoteError (unreachable, timeout); OperatorError (usage) when the remote is no SSH one
 */
export async function scanHostKeys(
  { run }: { run: Run },
  url: string,
  options: { timeout?: number; signal?: AbortSignal } = {},
): Promise<HostKeys> {
  const address = remoteAddress(url);
  if (address.protocol !== 'ssh')
    throw new OperatorError(`${url} is no SSH remote: it has no host keys.`, { exit: 'usage' });
  const timeout = options.timeout ?? 30_000;
  const begun = performance.now();
  const stdout = await run({ ...sshKeyscan(address, timeout), signal: options.signal }).then(
    (ran) => ran.stdout,
    (error: unknown) => {
      if (error instanceof CommandError && error.ended === 'took too long') return '';
      throw error;
    },
  );
  const keys = readHostKeys(stdout);
  if (keys.length === 0)
    throw new RemoteError(
      // It doesn't say why. Who isn't there refuses at once.
      performance.now() - begun >= timeout / 2 ? 'timeout' : 'unreachable',
      `${url}: no SSH server told its host keys.`,
      { next: 'Look whether the address is right, and whether this server may reach it.' },
    );
  return { keys, text: keys.map(({ line }) => `${line}\n`).join('') };
}

/** The host keys that a remote has pinned, to be shown. */
export const pinnedHostKeys = (text: string | undefined): HostKey[] => readHostKeys(text ?? '');

import { randomUUID } from 'node:crypto';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { usualSchedule } from '../plan/schedule.ts';
import { allMirrors, type Mirror, mirrorsOf, untriedMirror } from '../store/mirrors.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import { placeOf, type RemoteAddress, remoteAddress } from './remote/address.ts';

export const isHttp = ({ protocol }: RemoteAddress): boolean => protocol === 'http' || protocol === 'https';

/** A mirror of which nothing is known but where it is. */
export const fresh = (row: Repository, name: string, { url }: RemoteAddress): Mirror => ({
  ...untriedMirror,
  id: randomUUID(),
  repository: row.id,
  name,
  url,
  main: 'main',
  branches: null,
  onDivergence: 'refuse',
  everyMs: usualSchedule,
  tickets: false,
  wiki: false,
  user: null,
  sealedCredential: null,
  publicKey: null,
  hostKeys: null,
  createdAt: Date.now(),
});

/** @throws OperatorError (usage) for a way of signing in that the address doesn't take */
export function checkWays(address: RemoteAddress, flags: { tokenStdin: boolean; deployKey: boolean }): void {
  if (flags.tokenStdin && !isHttp(address))
    throw new OperatorError('A token is for https://.', {
      next: 'SSH takes a deploy key, which is made for the mirror; a folder takes neither.',
      exit: 'usage',
    });
  if (flags.deployKey && address.protocol !== 'ssh')
    throw new OperatorError('A deploy key is for SSH.', {
      next: 'Give the SSH address, as git@HOST:PATH; https:// takes a token.',
      exit: 'usage',
    });
}

/** What the unit that syncs may write to; see templates/fossilrepo-sync.service. */
const folders = ['/srv/', '/mnt/', '/media/'];

/** @throws OperatorError (usage) for a folder that only the operator's own hands could push to */
export function checkFolder({ supervisor }: Pick<Forge, 'supervisor'>, address: RemoteAddress): void {
  if (address.protocol !== 'file' || supervisor.kind !== 'systemd') return;
  if (folders.some((folder) => address.path.startsWith(folder))) return;
  throw new OperatorError(`${address.path} can't be a mirror: the service that pushes may not write there.`, {
    next: 'Use a folder below /srv, /mnt or /media that belongs to the user fossilrepo.',
    exit: 'usage',
  });
}

/** The mirror that the same command made before. @throws OperatorError when another one has its name or its place */
export function formerOf(
  { store }: Pick<Forge, 'store'>,
  row: Repository,
  name: string,
  address: RemoteAddress,
): Mirror | undefined {
  const { url } = address;
  const named = mirrorsOf(store, row.id).find((mirror) => mirror.name === name);
  if (named && named.url !== url)
    throw new OperatorError(`${row.name} has a mirror ${name} already: ${named.url}`, {
      next: 'Choose another --name.',
      exit: 'usage',
    });
  const place = placeOf(address);
  const other = allMirrors(store).find(
    (mirror) => mirror.id !== named?.id && placeOf(remoteAddress(mirror.url)) === place,
  );
  if (other) {
    const whose = findRepositoryById(store, other.repository)?.name ?? other.repository;
    throw new OperatorError(
      `${url} is the mirror ${other.name} of ${whose} already: two would undo each other.`,
      {
        next: `It is at ${other.url}: fossilrepo mirror remove ${whose} ${other.name} ends that.`,
        exit: 'usage',
      },
    );
  }
  return named;
}

import { basename, dirname, join, relative } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import { OperatorError } from '../../errors.ts';
import type { BundleOwner } from './format.ts';

export const placeNames = ['configuration', 'secrets', 'edge', 'ssh'] as const;
export type PlaceName = (typeof placeNames)[number];

/** A folder whose files belong into the bundle. */
export type Place = {
  name: PlaceName;
  /** Only root can put another folder at this path. */
  base: string;
  /** The names from there to the folder itself: others than root may change these, so no link among them is followed. */
  below: readonly string[];
  owner: BundleOwner;
  /** Whether a file belongs into the bundle. @param path below the folder */
  takes: (path: string) => boolean;
};

/**
 * Of Caddy's storage, what can be had again at no cost: locks, OCSP answers, challenges under way, its own copy of the configuration, and
 * what the local authority signs by itself every few hours.
 */
const passing =
  /^(locks|ocsp|config|data|certificates\/local)\/|^last_clean\.json$|(^|\/)challenge_tokens\/|\.tmp$/;

/** Everything that may be in a bundle. The machine's own SSH keys are not part of a server in a folder. */
export function placesOf(paths: Paths): Place[] {
  const own = [basename(paths.config), basename(paths.recovery)];
  return [
    {
      name: 'configuration',
      base: paths.configFolder,
      below: [],
      owner: 'root',
      takes: (path) => own.includes(path),
    },
    {
      name: 'secrets',
      base: dirname(paths.secrets),
      below: [basename(paths.secrets)],
      owner: 'root',
      takes: () => true,
    },
    {
      name: 'edge',
      base: paths.state,
      below: relative(paths.state, paths.edgeHome).split('/'),
      owner: 'edge',
      takes: (path) => !passing.test(path),
    },
    ...(paths.root === '/'
      ? [
          {
            name: 'ssh',
            base: paths.hostKeys,
            below: [],
            owner: 'root',
            takes: (path: string) => /^ssh_host_[\w-]+(\.pub)?$/.test(path),
          } as const,
        ]
      : []),
  ];
}

/**
 * Where a path of a bundle belongs.
 * @param path as it stands in the bundle
 * @throws OperatorError when it leads anywhere else: a bundle writes nothing but what a server puts into one
 */
export function placeOf(path: string, paths: Paths): Place {
  const absolute = join(paths.root, path);
  const plain = !/\0|\/\/|\/$|^\//.test(path) && !path.split('/').some((piece) => /^\.{0,2}$/.test(piece));
  const found = placesOf(paths).find((place) => {
    const folder = `${join(place.base, ...place.below)}/`;
    return plain && absolute.startsWith(folder) && place.takes(absolute.slice(folder.length));
  });
  if (found) return found;
  throw new OperatorError(`The bundle has a file for ${JSON.stringify(path)}, where nothing of it belongs.`, {
    next: 'Nothing was written. See who made this bundle.',
  });
}

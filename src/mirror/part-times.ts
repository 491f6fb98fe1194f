import type { Forge } from '../forge.ts';
import type { PartTimes } from '../plan/sync.ts';
import { mirrorHost } from '../store/mirror-hosts.ts';
import { mirrorPart, type MirrorPart, mirrorParts, type PartName } from '../store/mirror-parts.ts';
import { pushedRefs } from '../store/mirror-refs.ts';
import type { Mirror } from '../store/mirrors.ts';
import { wikiPlace } from './wiki/sync.ts';

/** What decides when the parts of mirrors whose code fails are looked at, by the mirror's id. */
export const partTimes = (
  { store }: Pick<Forge, 'store'>,
  mirrors: readonly Mirror[],
): Map<string, PartTimes[]> =>
  new Map(
    mirrors
      .filter(({ error }) => error !== null)
      .map((mirror) => [
        mirror.id,
        partsOf({ store }, mirror).map((part) => timesOfPart({ store }, mirrorPart(store, mirror.id, part))),
      ]),
  );

/** What a mirror has besides code and can have now: a wiki beside the code waits for it, since the first branch that a host sees becomes its main one. */
export const partsOf = ({ store }: Pick<Forge, 'store'>, mirror: Mirror): PartName[] => {
  const waits = wikiPlace({ store }, mirror) === 'branch' && pushedRefs(store, mirror.id).length === 0;
  return mirrorParts.filter((part) => mirror[part] && !(part === 'wiki' && waits));
};

/** A wiki is pushed as code is; an API may have a token of its own. */
export const timesOfPart = ({ store }: Pick<Forge, 'store'>, one: MirrorPart): PartTimes => ({
  ...one,
  ownCredential: one.part === 'tickets' && (mirrorHost(store, one.mirror)?.sealedToken ?? null) !== null,
});

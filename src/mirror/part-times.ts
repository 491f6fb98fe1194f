import type { Forge } from '../forge.ts';
import type { PartTimes } from '../plan/sync.ts';
import { mirrorHost } from '../store/mirror-hosts.ts';
import { mirrorPart, type MirrorPart, mirrorParts } from '../store/mirror-parts.ts';
import type { Mirror } from '../store/mirrors.ts';

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
        mirrorParts
          .filter((part) => mirror[part])
          .map((part) => timesOfPart({ store }, mirrorPart(store, mirror.id, part))),
      ]),
  );

/** A wiki is pushed as code is; an API may have a token of its own. */
export const timesOfPart = ({ store }: Pick<Forge, 'store'>, one: MirrorPart): PartTimes => ({
  ...one,
  ownCredential: one.part === 'tickets' && (mirrorHost(store, one.mirror)?.sealedToken ?? null) !== null,
});

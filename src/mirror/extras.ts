import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Secret } from '../secrets/secret.ts';
import { mirrorHost, setMirrorHost } from '../store/mirror-hosts.ts';
import {
  mirrorPart,
  mirrorParts,
  updateMirrorPart,
  type WikiPlace,
  wikiPlaces,
} from '../store/mirror-parts.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Repository } from '../store/repositories.ts';
import { cleared } from '../store/tries.ts';
import type { HostKind } from './host-kinds.ts';
import { openHost } from './hosts/open.ts';
import { kindOf, type Project, projectOf } from './hosts/project.ts';
import { apiToken, noteExpiry, sealApiToken } from './hosts/token.ts';

/** What an operator can say about what a mirror has besides code, and about its host. */
export type ExtraFlags = {
  tickets?: boolean;
  /** Where: true is where it belongs at that host. */
  wiki?: boolean | WikiPlace;
  hostKind?: HostKind;
  api?: string;
};

/** A mirror's host, and what is to be remembered of it once the mirror is. */
export type Extras = {
  project: Project | undefined;
  /** For the API alone. */
  token: Secret | undefined;
  flags: ExtraFlags;
};

/**
 * What the flags, the address and what is known already say about a mirror's host.
 * @throws OperatorError (usage) when something needs an API and it is not known whose
 */
export function extrasOf(
  { store }: Pick<Forge, 'store'>,
  mirror: Pick<Mirror, 'id' | 'url'>,
  flags: ExtraFlags & { create?: boolean },
  token: Secret | undefined,
): Extras {
  const known = mirrorHost(store, mirror.id);
  const said = {
    kind: flags.hostKind ?? known?.kind,
    api: flags.api ?? (flags.hostKind === undefined ? known?.api : undefined),
  };
  const needed =
    flags.tickets === true ||
    flags.create === true ||
    flags.wiki === 'repository' ||
    flags.hostKind !== undefined ||
    flags.api !== undefined ||
    token !== undefined;
  return { project: needed ? projectOf(mirror.url, said) : guessed(mirror.url, said), token, flags };
}

/** Nothing depends on it: what isn't known may stay so. */
function guessed(url: string, said: { kind?: HostKind | undefined; api?: string | undefined }) {
  if (said.kind === undefined && kindOf(url) === undefined) return undefined;
  try {
    return projectOf(url, said);
  } catch (error) {
    if (error instanceof OperatorError) return undefined;
    throw error;
  }
}

/**
 * Asks the host, before anything is remembered: whether the token may see the project's issues; with `create` makes its repository first.
 * @returns whether a repository was made @throws RemoteError, OperatorError (usage) without a token
 */
export async function tryHost(
  forge: Pick<Forge, 'secrets' | 'store'>,
  row: Pick<Repository, 'name' | 'visibility'>,
  mirror: Mirror,
  { project, token, flags }: Extras,
  create: boolean,
): Promise<boolean> {
  if (!project || (!create && flags.tickets !== true)) return false;
  const sealedToken = mirrorHost(forge.store, mirror.id)?.sealedToken ?? null;
  const known = token ?? apiToken(forge, mirror, { sealedToken });
  if (!known)
    throw new OperatorError(`${new URL(project.api).host} asks for a token.`, {
      next: 'Give it on standard input: --token-stdin; --api-token-stdin where git signs in with a key.',
      exit: 'usage',
    });
  const host = await openHost(project, known);
  const made =
    create &&
    (await host.createRepository({
      description: `Mirror of the Fossil repository ${row.name}`,
      open: row.visibility === 'public',
    }));
  // The first page shows whether the rest may be seen.
  if (flags.tickets === true) await host.list()[Symbol.asyncIterator]().next();
  return made;
}

/** Remembers what was said, for a mirror that is there now; what failed before is tried again. */
export async function keepExtras(
  forge: Pick<Forge, 'secrets' | 'store'>,
  mirror: Mirror,
  { project, token, flags }: Extras,
): Promise<void> {
  const { store } = forge;
  const known = mirrorHost(store, mirror.id);
  if (project)
    setMirrorHost(store, {
      ...{ mirror: mirror.id, kind: project.kind, api: project.api, path: project.path },
      sealedToken: token ? sealApiToken(forge, mirror.id, token) : (known?.sealedToken ?? null),
      ...{ expiresAt: null, askedAt: null },
    });
  const place = wikiPlaces.find((one) => one === flags.wiki) ?? (flags.wiki === true ? null : undefined);
  for (const part of mirrorParts) {
    const moved =
      part === 'wiki' && place !== undefined && place !== mirrorPart(store, mirror.id, part).place;
    updateMirrorPart(store, mirror.id, part, {
      ...cleared,
      stamp: null,
      ...(moved && { place, ref: null, git: null }),
    });
  }
  await noteExpiry(forge, mirror, { again: true });
}

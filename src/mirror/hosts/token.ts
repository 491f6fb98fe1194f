import type { Forge } from '../../forge.ts';
import { seal, unseal } from '../../secrets/seal.ts';
import type { Secret } from '../../secrets/secret.ts';
import { mirrorHost, type MirrorHost, setMirrorHost } from '../../store/mirror-hosts.ts';
import type { Mirror } from '../../store/mirrors.ts';
import { OperatorError } from '../../errors.ts';
import { remoteOf } from '../credential.ts';
import type { Host } from './issues.ts';
import { openHost } from './open.ts';

type Sealed = Pick<Mirror, 'id' | 'url' | 'user' | 'sealedCredential' | 'publicKey' | 'hostKeys'>;

const contextOf = (id: string): string => `mirror-api:${id}`;

/** A token for the API alone as its row keeps it. */
export const sealApiToken = ({ secrets }: Pick<Forge, 'secrets'>, id: string, token: Secret): string =>
  seal(secrets.instanceKey, contextOf(id), token.reveal());

/** What a mirror's API is asked with: a token of its own, or the one that git uses; undefined: there is none. */
export function apiToken(
  forge: Pick<Forge, 'secrets'>,
  mirror: Sealed,
  { sealedToken }: Pick<MirrorHost, 'sealedToken'>,
): Secret | undefined {
  if (sealedToken !== null) return unseal(forge.secrets.instanceKey, contextOf(mirror.id), sealedToken);
  const { credential } = remoteOf(forge, mirror);
  return credential?.kind === 'token' ? credential.token : undefined;
}

/** Opens a mirror's project at its host. @throws OperatorError when it has none, or no token for it */
export async function hostOf(
  forge: Pick<Forge, 'secrets' | 'store'>,
  mirror: Sealed & Pick<Mirror, 'name'>,
  signal?: AbortSignal,
): Promise<Host> {
  const host = mirrorHost(forge.store, mirror.id);
  if (!host)
    throw new OperatorError(`Of ${mirror.url} it isn't known whose API it speaks.`, {
      next: 'Say it: fossilrepo mirror configure REPOSITORY --tickets --host-kind github, gitlab or gitea',
    });
  const token = apiToken(forge, mirror, host);
  if (!token)
    throw new OperatorError(`There is no token for ${new URL(host.api).host}.`, {
      next: 'Give one: fossilrepo mirror configure REPOSITORY --api-token-stdin',
    });
  return await openHost(host, token, { signal });
}

/** How often it is asked when a token ends. Milliseconds. */
const askAgain = 20 * 3_600_000;
/** Nobody waits for it longer. Milliseconds. */
const longest = 20_000;

/** Asks when a mirror's token ends, if it was not asked lately. What can't be asked is left for another time. */
export async function noteExpiry(
  forge: Pick<Forge, 'secrets' | 'store'>,
  mirror: Sealed & Pick<Mirror, 'name'>,
  options: { signal?: AbortSignal | undefined; again?: boolean } = {},
): Promise<void> {
  const host = mirrorHost(forge.store, mirror.id);
  const now = Date.now();
  if (!host || !apiToken(forge, mirror, host)) return;
  if (!options.again && host.askedAt !== null && Math.abs(now - host.askedAt) < askAgain) return;
  const signals = [AbortSignal.timeout(longest), ...(options.signal ? [options.signal] : [])];
  const signal = AbortSignal.any(signals);
  try {
    const ends = await (await hostOf(forge, mirror, signal)).tokenExpiry();
    const present = mirrorHost(forge.store, mirror.id);
    if (present) setMirrorHost(forge.store, { ...present, expiresAt: ends, askedAt: now });
  } catch (error) {
    // Whatever is wrong shows where it matters: in a push, or with the tickets.
    if (!(error instanceof OperatorError || signal.aborted)) throw error;
  }
}

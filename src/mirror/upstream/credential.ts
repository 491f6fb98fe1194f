import type { Forge } from '../../forge.ts';
import { seal, unseal } from '../../secrets/seal.ts';
import type { Secret } from '../../secrets/secret.ts';
import type { Upstream } from '../../store/upstreams.ts';
import type { Credential, Remote } from '../remote/remote.ts';

/** What is sealed for one upstream opens for no other. */
const contextOf = (id: string): string => `upstream:${id}`;

/** An upstream's token, password or private key as its row keeps it. */
export const sealForUpstream = ({ secrets }: Pick<Forge, 'secrets'>, id: string, value: Secret): string =>
  seal(secrets.instanceKey, contextOf(id), value.reveal());

/** What an upstream's row keeps sealed; undefined when there is nothing. @throws OperatorError with another instance key */
export const openedSecret = (
  { secrets }: Pick<Forge, 'secrets'>,
  { id, sealedCredential }: Pick<Upstream, 'id' | 'sealedCredential'>,
): Secret | undefined =>
  sealedCredential === null ? undefined : unseal(secrets.instanceKey, contextOf(id), sealedCredential);

/** A Git upstream with its credential opened. */
export function remoteOf(forge: Pick<Forge, 'secrets'>, upstream: Upstream): Remote {
  const value = openedSecret(forge, upstream);
  const { url, user, publicKey, hostKeys } = upstream;
  const credential: Credential | undefined =
    value === undefined
      ? undefined
      : publicKey === null
        ? { kind: 'token', user: user ?? '', token: value }
        : { kind: 'key', publicKey, privateKey: value };
  return { url, credential, hostKeys: hostKeys ?? undefined };
}

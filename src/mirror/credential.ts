import type { Forge } from '../forge.ts';
import { seal, unseal } from '../secrets/seal.ts';
import type { Secret } from '../secrets/secret.ts';
import type { Mirror } from '../store/mirrors.ts';
import type { Credential, Remote } from './remote/remote.ts';

/** What is sealed for one mirror opens for no other. */
const contextOf = (id: string): string => `mirror:${id}`;

/** A mirror's token or private key as its row keeps it. */
export const sealCredential = ({ secrets }: Pick<Forge, 'secrets'>, id: string, value: Secret): string =>
  seal(secrets.instanceKey, contextOf(id), value.reveal());

/** A mirror's remote with its credential opened. @throws OperatorError when that was sealed with another instance key */
export const remoteOf = (
  forge: Pick<Forge, 'secrets'>,
  mirror: Pick<Mirror, 'id' | 'url' | 'user' | 'sealedCredential' | 'publicKey' | 'hostKeys'>,
): Remote => ({
  url: mirror.url,
  credential: credentialOf(forge, mirror),
  hostKeys: mirror.hostKeys ?? undefined,
});

function credentialOf(
  { secrets }: Pick<Forge, 'secrets'>,
  { id, user, sealedCredential, publicKey }: Pick<Mirror, 'id' | 'user' | 'sealedCredential' | 'publicKey'>,
): Credential | undefined {
  if (sealedCredential === null) return undefined;
  const value = unseal(secrets.instanceKey, contextOf(id), sealedCredential);
  return publicKey === null
    ? { kind: 'token', user: user ?? '', token: value }
    : { kind: 'key', publicKey, privateKey: value };
}

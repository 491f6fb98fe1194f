import type { Forge } from '../forge.ts';
import { readRecovery, wasShown } from '../secrets/bundle/recovery.ts';
import { readSealed } from '../secrets/bundle/seal.ts';
import { bundleKey, listBundles, outdatedBundles, storeBundle } from './bundles.ts';
import { refuseWhileFenced } from './fence.ts';
import { openReplicaStore } from './open.ts';

/**
 * Takes the sealed bundle to the replica when it isn't there yet, and takes away what it replaces. Once more than needed does no harm; what
 * a killed command left undone is done by the next call, which the loop makes every minute.
 *
 * Only what is sealed to the present recovery key goes there, and only when that key was shown: a bundle that no key opens which somebody
 * has seen would pass for a backup and be none. Former ones go only after the new one has been read back.
 * @returns the key of what is in the replica now; undefined when there is nothing that may go there
 * @throws OperatorError when the replica isn't ours, can't be written to, or loses what it was given
 */
export async function deliverBundle(
  forge: Pick<Forge, 'config' | 'secrets' | 'instance' | 'store' | 'paths'>,
): Promise<string | undefined> {
  const { config, secrets, instance, paths } = forge;
  const recovery = readRecovery(paths);
  if (!recovery || !wasShown(forge.store, recovery.recipient)) return undefined;
  const sealed = readSealed(paths);
  if (sealed?.recipient !== recovery.recipient) return undefined;
  refuseWhileFenced(forge);
  const store = openReplicaStore(config.replica, secrets.storage);
  const key = bundleKey(instance, sealed.at);
  let there = await listBundles(store, instance);
  if (!there.some((bundle) => bundle.key === key && bundle.bytes === Buffer.byteLength(sealed.text))) {
    await storeBundle(store, instance, sealed);
    there = await listBundles(store, instance);
  }
  const windowStart = new Date(Date.now() - config.replica.window);
  for (const bundle of outdatedBundles(there, new Date(recovery.madeAt), windowStart))
    if (bundle.key !== key) await store.delete(bundle.key);
  return key;
}

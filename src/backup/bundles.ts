import { OperatorError } from '../errors.ts';
import type { ReplicaStore } from './store.ts';

/** A sealed bundle in the replica. */
export type StoredBundle = {
  key: string;
  /** When it was sealed. */
  at: Date;
  /** Of the sealed text. */
  bytes: number;
};

const folder = (instance: string) => `${instance}/bundles/`;

/** `<instance>/bundles/2026-11-21T13:00:00.123Z.age`. @param at ISO 8601 */
export const bundleKey = (instance: string, at: string): string => `${folder(instance)}${at}.age`;

/** All bundles of a server, the newest first. @throws OperatorError when the storage can't be asked */
export async function listBundles(
  store: Pick<ReplicaStore, 'list'>,
  instance: string,
): Promise<StoredBundle[]> {
  const bundles: StoredBundle[] = [];
  for await (const { key, bytes } of store.list(folder(instance))) {
    const [, instant = ''] = /\/([^/]+)\.age$/.exec(key) ?? [];
    const at = new Date(instant);
    // Whatever else lies there is none of ours.
    if (!Number.isNaN(at.getTime()) && key === bundleKey(instance, at.toISOString()))
      bundles.push({ key, at, bytes });
  }
  return bundles.sort((a, b) => b.at.getTime() - a.at.getTime());
}

/**
 * The bundle to restore from: the newest one sealed at or before an instant, else the oldest there is.
 * @param at left out: the newest of all
 * @returns undefined when there is none
 */
export async function newestBundle(
  store: Pick<ReplicaStore, 'list'>,
  instance: string,
  at?: Date,
): Promise<StoredBundle | undefined> {
  const bundles = await listBundles(store, instance);
  if (at === undefined) return bundles[0];
  return bundles.find((bundle) => bundle.at.getTime() <= at.getTime()) ?? bundles.at(-1);
}

/** A bundle's sealed text. @throws OperatorError when it is gone */
export async function readBundle(store: ReplicaStore, { key }: Pick<StoredBundle, 'key'>): Promise<string> {
  const text = await store.get(key);
  if (text !== undefined) return text;
  throw new OperatorError(`The bundle ${key} is not in ${store.describe} any more.`, {
    next: 'Run the command again: a newer one has taken its place, or there is none.',
  });
}

/** Puts a bundle into the replica and looks that it is really there. @throws OperatorError when it is not */
export async function storeBundle(
  store: ReplicaStore,
  instance: string,
  { at, text }: { at: string; text: string },
): Promise<void> {
  const key = bundleKey(instance, at);
  await store.put(key, text);
  if ((await store.get(key)) === text) return;
  throw new OperatorError(`${store.describe} does not give back the bundle that was written: ${key}.`, {
    next: 'Use a storage that is consistent at once; a cache between server and storage has to be switched off.',
  });
}

/**
 * The bundles that nobody needs any more: those sealed to a former recovery key, and those whose successor is older than the recovery
 * window, so that for each instant of the window there is the bundle of that time. None before one of the present key is there.
 * @param bundles the newest first
 * @param since when the present recovery key was made
 * @param windowStart the oldest instant that can be restored
 */
export function outdatedBundles(
  bundles: readonly StoredBundle[],
  since: Date,
  windowStart: Date,
): StoredBundle[] {
  const ours = bundles.filter(({ at }) => at >= since);
  if (ours.length === 0) return [];
  const former = bundles.filter(({ at }) => at < since);
  return [
    ...former,
    ...ours.filter((_, index) => index > 0 && (ours[index - 1]?.at ?? since) <= windowStart),
  ];
}

import { z } from 'zod';
import type { Paths } from '../../config/paths.ts';
import { OperatorError } from '../../errors.ts';
import { getSetting, instanceId, openStore, setSetting, type Store } from '../../store/store.ts';
import { readIfThere, writeAtomic } from '../../system/files.ts';
import { newRecoveryKey, type RecoveryKey } from './format.ts';

const recovery = z.object({
  version: z.literal(1),
  /** The public half of the recovery key. */
  recipient: z.string().startsWith('age1'),
  /** Bundles older than this are sealed to a former key. */
  madeAt: z.iso.datetime(),
  instance: z.string().min(1),
});

/** To whom this server's bundle is sealed. The recovery key itself is nowhere on the server. */
export type Recovery = z.output<typeof recovery>;

/** Undefined when no key was made yet. @throws OperatorError when the file was changed by hand to something else */
export function readRecovery(paths: Pick<Paths, 'recovery'>): Recovery | undefined {
  const text = readIfThere(paths.recovery);
  if (text === undefined) return undefined;
  try {
    return recovery.parse(JSON.parse(text));
  } catch (error) {
    throw new OperatorError(`${paths.recovery} is not what fossilrepo wrote there.`, {
      next: 'Put it back as it was, or make another key with fossilrepo backup recovery-key --rotate.',
      cause: error,
    });
  }
}

/** From now on the bundle is sealed to this key. Only root may say so on a whole server. */
export function keepRecipient(paths: Pick<Paths, 'recovery'>, kept: Omit<Recovery, 'version'>): void {
  writeAtomic(paths.recovery, `${JSON.stringify({ version: 1, ...kept }, null, 2)}\n`, 0o644);
}

const shownKey = (recipient: string) => `recovery.shown.${recipient}`;

/** Whether somebody has seen the recovery key that belongs to a recipient. Nothing else goes to the replica. */
export const wasShown = (store: Store, recipient: string): boolean =>
  getSetting(store, shownKey(recipient)) !== undefined;

/** Call after the recovery key was printed, or given by the operator. */
export const noteShown = (store: Store, recipient: string): void =>
  setSetting(store, shownKey(recipient), new Date().toISOString());

/**
 * A recovery key for a server whose key nobody has seen: the first time, or after an install that was killed before it was printed. To be
 * called as who may write the configuration's folder; undefined when there is a key that was shown.
 */
export async function firstRecoveryKey(
  paths: Pick<Paths, 'recovery' | 'database'>,
): Promise<RecoveryKey | undefined> {
  using store = openStore(paths, { create: false });
  const instance = instanceId(store);
  const now = readRecovery(paths);
  if (now?.instance === instance && wasShown(store, now.recipient)) return undefined;
  const made = await newRecoveryKey();
  keepRecipient(paths, { recipient: made.recipient, madeAt: new Date().toISOString(), instance });
  return made;
}

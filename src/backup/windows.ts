import pMap from 'p-map';
import type { Forge } from '../forge.ts';
import { partOf } from './location.ts';
import { storedHistory } from './open.ts';
import { type RecoveryWindow, recoveryWindow } from './window.ts';

/** The recovery window of each database, by id, from the storage's own lists. @throws OperatorError when it can't be reached */
export async function windowsOf(
  forge: Pick<Forge, 'config' | 'secrets' | 'instance'>,
  ids: readonly string[],
): Promise<Map<string, RecoveryWindow>> {
  const one = async (id: string) => [id, await recoveryWindow(storedHistory(forge, partOf(id)))] as const;
  return new Map(await pMap(ids, one, { concurrency: 16 }));
}

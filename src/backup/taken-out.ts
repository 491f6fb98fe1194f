import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { litestreamState } from '../config/paths.ts';
import { codeOf } from '../errors.ts';
import { sizeIfThere } from '../system/files.ts';
import { transactionsOf } from './location.ts';

/** The files of the transactions that Litestream took out of a database and still has beside it, sent or not; oldest first. */
export function takenOut(database: string): string[] {
  const folder = join(litestreamState(database), 'ltx/0');
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.ltx'))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** How many bytes of a database wait to be sent. @param sent the last transaction that is in the replica */
export const bytesToSend = (database: string, sent: number): number =>
  takenOut(database)
    .filter((file) => (transactionsOf(file)?.max ?? 0) > sent)
    .reduce((sum, file) => sum + sizeIfThere(file), 0);

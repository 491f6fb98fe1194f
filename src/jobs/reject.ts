import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { addEvent } from '../store/events.ts';
import { moveDurably } from '../system/files.ts';

/**
 * Moves what can never be served out of the folder of repositories, with what SQLite keeps beside it, and says so. Nothing is lost: it
 * lies among the rejected.
 */
export function reject(forge: Pick<Forge, 'paths' | 'store'>, name: string, reason: string): void {
  const to = join(forge.paths.rejected, `${new Date().toISOString().replaceAll(':', '')}-${name}`);
  for (const suffix of ['-wal', '-shm', '-journal', ''])
    if (lstatSync(join(forge.paths.repos, name + suffix), { throwIfNoEntry: false }))
      moveDurably(join(forge.paths.repos, name + suffix), to + suffix);
  addEvent(forge.store, { kind: 'rejected', text: `${name} was moved to ${to}: ${reason}` });
}

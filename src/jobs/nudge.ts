import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../forge.ts';

/**
 * Has each commit sent at once: the write-ahead log of a repository changes, Litestream is told to look. Without this a commit waits for
 * Litestream's own intervals, half a second at the median; with it nothing is lost when the kernel drops an event, only that wait is back.
 * @param sent told how far a file is in the replica after each
 */
export function nudgeReplication(
  forge: Pick<Forge, 'paths' | 'litestream'>,
  sent: (file: string, txid: number) => void,
): FSWatcher {
  const busy = new Set<string>();
  const again = new Set<string>();
  const send = async (file: string): Promise<void> => {
    if (busy.has(file)) {
      again.add(file);
      return;
    }
    busy.add(file);
    // A failure shows in the replica's age, which the loop looks at.
    const done = await forge.litestream.syncNow(file, 5_000).catch(() => undefined);
    if (done) sent(file, done.replicatedTxid);
    busy.delete(file);
    if (again.delete(file)) await send(file);
  };
  return watch(forge.paths.repos, (_event, name) => {
    if (name?.endsWith('.fossil-wal')) void send(join(forge.paths.repos, name.slice(0, -'-wal'.length)));
  });
}

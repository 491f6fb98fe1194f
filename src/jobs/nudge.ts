import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { failedAs } from '../backup/control.ts';
import type { Forge } from '../forge.ts';
import { watchFolder } from '../system/watch.ts';

/** How long after a commit could not be sent it is tried again. Milliseconds. */
const pause = 15_000;

/**
 * Has each commit sent at once: the write-ahead log of a repository changes, Litestream is told to look. Without this a commit waits for
 * Litestream's own intervals, half a second at the median; with it nothing is lost when the kernel drops an event, only that wait is back.
 * What can't be sent within some seconds is tried again, so that `sent` is told of it after an outage, too.
 * @param sent told how far a file is in the replica after each
 * @param failed told when the kernel lets the folder be watched no more: then only the wait is back
 */
export function nudgeReplication(
  forge: Pick<Forge, 'paths' | 'litestream'>,
  sent: (file: string, txid: number) => void,
  failed: (error: unknown) => void,
): FSWatcher | undefined {
  const busy = new Set<string>();
  const again = new Set<string>();
  const owed = new Set<string>();
  const send = async (file: string): Promise<void> => {
    if (busy.has(file)) {
      again.add(file);
      return;
    }
    busy.add(file);
    try {
      sent(file, (await forge.litestream.syncNow(file, 5_000)).replicatedTxid);
    } catch (error) {
      // A failure shows in the replica's age, which the loop looks at. What Litestream doesn't have is no longer served.
      if (!failedAs(error, 'unknown')) sendLater(file);
    }
    busy.delete(file);
    if (again.delete(file)) await send(file);
  };
  const sendLater = (file: string): void => {
    if (owed.has(file)) return;
    owed.add(file);
    setTimeout(() => {
      owed.delete(file);
      void send(file);
    }, pause).unref();
  };
  const { repos } = forge.paths;
  return watchFolder(
    repos,
    (name) => {
      if (name?.endsWith('.fossil-wal')) void send(join(repos, name.slice(0, -'-wal'.length)));
    },
    failed,
  );
}

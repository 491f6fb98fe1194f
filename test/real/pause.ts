import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathsUnder } from '../../src/config/paths.ts';
import { hold, withLock } from '../../src/system/locks.ts';
import type { TestForge } from './forge.ts';

/**
 * Stops the management part for a while, its loop with it, where it holds no lock that a command would wait for.
 * @returns what lets it go on
 */
export async function pauseManagement(forge: TestForge): Promise<() => void> {
  const paths = pathsUnder(forge.root);
  const management = forge.pidOf('management');
  await withLock(paths, 'changes', 60_000, async () => {
    using sending = new DisposableStack();
    for (const name of readdirSync(paths.locks).filter((one) => /^send-.*\.(gate|lock)$/.test(one)))
      sending.use(await hold(join(paths.locks, name), 'alone', 10_000));
    using database = new DatabaseSync(paths.database, { timeout: 10_000 });
    database.exec('BEGIN IMMEDIATE');
    process.kill(management, 'SIGSTOP');
    database.exec('ROLLBACK');
  });
  return () => process.kill(management, 'SIGCONT');
}

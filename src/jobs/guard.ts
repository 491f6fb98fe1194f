import { failedAs } from '../backup/control.ts';
import { lostTrack, unguarded } from '../backup/guard.ts';
import { replicatedDatabases, stopReplicating } from '../backup/replicate.ts';
import { messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';
import { foldLog } from '../repos/drain.ts';
import { addEvent } from '../store/events.ts';
import { recordLocks } from '../system/record-locks.ts';

/** Sees to it that Litestream misses nothing: see `backup/guard.ts` for how it could. The caller holds the `changes` lock. */
export function guardLogs(forge: Forge): () => Promise<Finding[]> {
  let suspects = new Set<string>();
  let known = 0;
  const doubtful = new Set<string>();

  return async () => {
    const info = await forge.litestream.info().catch(() => undefined);
    if (info === undefined) return [];
    const databases = replicatedDatabases(forge);
    const files = [...databases.keys()];
    const now = new Set(unguarded(files, info.pid, recordLocks()));
    const started = info.startedAt.getTime();
    const lost = started === known ? [] : files.filter((file) => lostTrack(file, info.startedAt));
    known = started;
    // Litestream itself lets go for a moment when it writes a log into its database.
    const bare = files.filter((file) => now.has(file) && suspects.has(file));
    suspects = now;
    const findings: Finding[] = [];
    for (const file of [...lost, ...bare]) doubtful.add(file);
    for (const file of doubtful) {
      const problem = await anew(forge, file, databases.get(file));
      if (problem) findings.push(problem.finding);
      else doubtful.delete(file);
      // It would keep one waiting as long for the next, and commands with it.
      if (problem?.slow) break;
    }
    return findings;
  };
}

/**
 * Has Litestream begin with the database again: without the former log it sends all of it.
 * @param url undefined when the database is no longer there to be replicated
 * @returns what went wrong, and whether it is that Litestream takes its time
 */
async function anew(
  forge: Forge,
  file: string,
  url: string | undefined,
): Promise<{ finding: Finding; slow: boolean } | undefined> {
  if (url === undefined) return undefined;
  try {
    await stopReplicating(forge, file);
    try {
      foldLog(file);
    } finally {
      await forge.litestream.register(file, url);
    }
    const text = `Litestream may have missed changes of ${file}: all of it is sent again`;
    addEvent(forge.store, { kind: 'mended', text });
    return undefined;
  } catch (error) {
    const finding: Finding = {
      level: 'red',
      about: 'replica',
      what: `Litestream may have missed changes of ${file}, and can't begin with it again: ${messageOf(error)}`,
      next: 'It is tried again by itself; see fossilrepo logs replication.',
    };
    return { finding, slow: failedAs(error, 'slow') };
  }
}

import { judgeOwnership } from '../backup/ownership.ts';
import { withForge } from '../forge.ts';
import type { GlobalOptions } from '../server.ts';

/**
 * Asks the replica whose it is before Litestream starts, which would begin to write at once. Never fails: a server whose replica is away
 * serves its users all the same, and its status is red.
 */
export async function judgeReplica(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const ownership = await judgeOwnership(forge);
    if (ownership.is !== 'ours') forge.out.warn(`${ownership.what} ${ownership.next}`);
  });
}

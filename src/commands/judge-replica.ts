import { judgeOwnership } from '../backup/ownership.ts';
import { withForge } from '../forge.ts';
import type { GlobalOptions } from '../server.ts';

/**
 * Asks the replica whose it is before Litestream starts, which would begin to write at once. Never fails: a server whose replica is away
 * serves its users all the same, and its status is red.
 *
 * Loads what `serve` is made of, too, so that its modules are in the cache of compiled ones when it starts: a Node that has to strip types
 * once keeps the compiler, some 25 MB, as long as it runs.
 */
export async function judgeReplica(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const ownership = await judgeOwnership(forge);
    if ('what' in ownership) forge.out.warn(`${ownership.what} ${ownership.next}`);
  });
  await import('./serve.ts');
}

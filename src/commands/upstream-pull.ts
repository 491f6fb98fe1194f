import { OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { describeCame } from '../mirror/upstream/came.ts';
import { pullUpstream } from '../mirror/upstream/pull.ts';
import type { GlobalOptions } from '../server.ts';
import { getRepository, type Repository } from '../store/repositories.ts';
import { getUpstream } from '../store/upstreams.ts';
import { agreed } from './questions.ts';
import { stopping } from './stopping.ts';
import { drySync } from './sync-dry.ts';

/** `fossilrepo upstream pull REPO`: what is new there, now. @throws OperatorError when it can't be taken */
export async function upstreamPull(
  options: GlobalOptions,
  repository: string,
  flags: { dryRun: boolean },
): Promise<void> {
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    const upstream = getUpstream(forge.store, row.id, row.name);
    if (flags.dryRun) await drySync(forge, [upstream], [], stopping());
    else await pullNow(forge, row, false);
  });
}

/** `fossilrepo upstream accept REPO`: a rewritten history comes beside the former one, whose check-ins stay. */
export async function upstreamAccept(
  options: GlobalOptions,
  repository: string,
  flags: { yes: boolean; dryRun: boolean },
): Promise<void> {
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    const { url } = getUpstream(forge.store, row.id, row.name);
    if (flags.dryRun) {
      const text = `take the rewritten history of ${url} beside the one that is in ${row.name}, whose check-ins stay`;
      forge.out.result({ repository: row.name, url }, text);
      return;
    }
    if (!flags.yes)
      await agreed(
        `Take the rewritten history of ${url}? Former check-ins stay, as branches that end beside it.`,
        false,
      );
    await pullNow(forge, row, true);
  });
}

async function pullNow(forge: Forge, row: Repository, acceptRewrite: boolean): Promise<void> {
  getUpstream(forge.store, row.id, row.name);
  const { next, busy, ...result } = await pullUpstream(forge, row, { acceptRewrite, signal: stopping() });
  if (!result.ok)
    throw new OperatorError(result.error ?? 'Nothing could be taken.', {
      ...(next !== null && { next }),
      exit: busy ? 'busy' : result.errorKind === 'rewritten' ? 'check' : 'failed',
    });
  forge.out.result(result, describeCame(result.came) || 'nothing new');
}

import { readBringing } from '../apply/bringing.ts';
import { knownTxid, readHighWater } from '../backup/high-water.ts';
import { openReplicaStore } from '../backup/open.ts';
import { writeLitestreamConfig } from '../backup/replicate.ts';
import { exitCodes, messageOf, OperatorError } from '../errors.ts';
import { changeForge } from '../forge.ts';
import { pathsUnder } from '../config/paths.ts';
import { bringBack } from '../repos/restore/bring-back.ts';
import type { GlobalOptions } from '../server.ts';
import { allRepositories, removeRepository } from '../store/repositories.ts';
import { inWords } from '../repos/verify.ts';
import { attemptAll } from '../system/attempts.ts';

/** How many repositories are fetched and checked at once. */
const atOnce = 8;

/**
 * The part of `install --from` that reads what tenants wrote, in a process of its own that gives up root: every repository of the management
 * database into its place.
 */
export async function bringRepositories(options: GlobalOptions): Promise<void> {
  const bringing = readBringing(pathsUnder(options.root));
  if (!bringing) throw new OperatorError('No server is being brought back here.', { exit: 'usage' });
  endWithParent();
  const at = bringing.at === null ? undefined : new Date(bringing.at);
  await changeForge(options, async (forge) => {
    const store = openReplicaStore(forge.config.replica, forge.secrets.storage);
    const beside = await readHighWater(store, forge.instance);
    const all = allRepositories(forge.store);
    // Nobody was told of one that was only being made.
    for (const { id } of all.filter(({ state }) => state === 'creating')) removeRepository(forge.store, id);
    const rows = all.filter(({ state }) => state !== 'creating');
    forge.out.say(`Fetching and checking ${rows.length} repositories:`);
    const attempts = await attemptAll(
      rows,
      atOnce,
      (row) => bringBack(forge, row, { at, known: knownTxid(forge.store, row.id, beside) }),
      (ended, count) => {
        const what =
          'error' in ended
            ? 'could not be brought back'
            : ended.value
              ? inWords(ended.value)
              : 'was there already';
        forge.out.say(`- ${ended.item.name}: ${what}${count}`);
      },
    ).catch((error: unknown) => ({ done: [], failed: rows.map((item) => ({ item, error })) }));
    writeLitestreamConfig(forge);
    const failed = attempts.failed.map(({ item: { id, name, state }, error }) => ({
      ...{ id, name, state },
      error: messageOf(error),
    }));
    for (const { name, error } of failed) forge.out.warn(`${name} could not be brought back: ${error}`);
    forge.out.result({ repositories: attempts.done.length, failed }, '');
  });
}

/** What is brought back by a process whose parent was killed would meet the next run at its work. */
function endWithParent(): void {
  process.stdin.once('close', () => process.exit(exitCodes.cancelled)).resume();
  process.stdin.unref();
}

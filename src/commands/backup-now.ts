import { join } from 'node:path';
import pMap from 'p-map';
import { failedAs } from '../backup/control.ts';
import { refuseWhileFenced } from '../backup/fence.ts';
import { exitCodes, messageOf, OperatorError } from '../errors.ts';
import { alone, type Forge, withForge } from '../forge.ts';
import type { GlobalOptions } from '../server.ts';
import {
  findRepositoryById,
  getRepository,
  listRepositories,
  type Repository,
} from '../store/repositories.ts';

/** `fossilrepo backup now`: returns when all that was committed so far is in the replica. Answers 6 when some are not, 1 when none is. */
export async function backupNow(options: GlobalOptions, names: readonly string[]): Promise<void> {
  await withForge(options, async (forge) => {
    refuseWhileFenced(forge);
    const rows =
      names.length > 0
        ? names.map((name) => inService(forge, name))
        : listRepositories(forge.store, { hidden: true }).filter(({ state }) => state === 'active');
    const files = [
      ...rows.map((row) => ({ name: row.name, path: () => join(forge.paths.data, today(forge, row).file) })),
      ...(names.length > 0 ? [] : [{ name: 'management database', path: () => forge.paths.database }]),
    ];
    const results = await pMap(
      files,
      async ({ name, path }) => {
        try {
          const { txid } = await sentNow(forge, path);
          return { name, ok: true, txid, error: null };
        } catch (error) {
          return { name, ok: false, txid: null, error: messageOf(error) };
        }
      },
      { concurrency: 8 },
    );
    const failed = results.filter(({ ok }) => !ok);
    const lines = failed.map(({ name, error }) => `${name}: ${error ?? ''}`);
    forge.out.result(
      { results },
      [
        ...lines,
        `${results.length - failed.length} of ${results.length} databases are in the replica as of now`,
      ].join('\n'),
    );
    if (failed.length > 0)
      process.exitCode = failed.length === results.length ? exitCodes.failed : exitCodes.partly;
  });
}

/** Whoever works on a repository may have had Litestream let go of it for a moment: asked again when that is done. */
async function sentNow(forge: Forge, path: () => string): Promise<{ txid: number }> {
  return await forge.litestream.syncNow(path()).catch(async (error: unknown) => {
    if (!failedAs(error, 'unknown')) throw error;
    await alone(forge, () => Promise.resolve());
    return await forge.litestream.syncNow(path());
  });
}

/** It may be renamed meanwhile. */
const today = ({ store }: Pick<Forge, 'store'>, row: Repository): Repository =>
  findRepositoryById(store, row.id) ?? row;

function inService({ store }: Pick<Forge, 'store'>, name: string): Repository {
  const row = getRepository(store, name);
  if (row.state === 'active') return row;
  throw new OperatorError(`${name} is only being made.`, {
    next: 'Wait until repo create has ended.',
    exit: 'busy',
  });
}

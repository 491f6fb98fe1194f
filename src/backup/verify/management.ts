import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { removeDatabase } from '../../repos/make.ts';
import { scratch } from '../../repos/scratch.ts';
import { managementId } from '../location.ts';
import { fetchNow, type Measured } from './fetch.ts';

/** How often a new moment is taken: the loop and commands go on writing. */
const tries = 6;

/**
 * The same for the management database: it is whole by SQLite's own check, is this instance's, and each table has as many rows.
 * @throws as `verifyRepositoryReplica`
 */
export async function verifyManagement(forge: Forge, measured: Measured): Promise<void> {
  using folder = scratch(forge.paths, 'verify');
  const file = join(folder.path, 'management.db');
  for (let attempt = 1; ; attempt++) {
    const live = { id: managementId, part: managementId, file: forge.paths.database } as const;
    await fetchNow(forge, live, file, 2, measured);
    const started = performance.now();
    const differs = compare(forge, file);
    measured.checkMs = performance.now() - started;
    if (differs.length === 0) return;
    if (attempt === tries)
      throw wrong(`The management database in the replica is not what is in service: ${differs.join('; ')}.`);
    removeDatabase(file);
    await sleep(200);
  }
}

function compare(forge: Forge, file: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    const [answer] = database.prepare('PRAGMA integrity_check(5)').all();
    if (answer?.['integrity_check'] !== 'ok')
      throw wrong(
        `The management database in the replica is damaged: ${String(answer?.['integrity_check'])}`,
      );
    const instance = database.prepare("SELECT value FROM setting WHERE key = 'instance'").get()?.['value'];
    if (instance !== forge.instance)
      throw wrong(`What lies there for the management database is another instance's: ${String(instance)}.`);
    const live = countsOf(forge.store.database);
    const restored = countsOf(database);
    return [...new Set([...live.keys(), ...restored.keys()])]
      .filter((table) => live.get(table) !== restored.get(table))
      .map(
        (table) => `${table} has ${restored.get(table) ?? 'no'} rows instead of ${live.get(table) ?? 'none'}`,
      );
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw wrong(`The management database in the replica can't be read: ${messageOf(error)}`);
  } finally {
    database.close();
  }
}

/** How many rows each table has, at one moment. Litestream's own are left out: it writes them while it replicates. */
function countsOf(database: DatabaseSync): Map<string, number> {
  const tables = database
    .prepare(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB '_litestream_*'`,
    )
    .all()
    .map((row) => String(row['name']));
  const counts = tables.map((name) => `SELECT '${name}' AS name, count(*) AS n FROM "${name}"`);
  const rows = database.prepare(counts.join(' UNION ALL ')).all();
  return new Map(rows.map((row) => [String(row['name']), Number(row['n'])]));
}

const wrong = (message: string): OperatorError =>
  new OperatorError(message, { next: 'See fossilrepo backup list management.', exit: 'check' });

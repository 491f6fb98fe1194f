import { coverageNow } from '../backup/coverage-now.ts';
import { windowsOf } from '../backup/windows.ts';
import type { RecoveryWindow } from '../backup/window.ts';
import { exitCodes, messageOf } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { type LastVerified, lastVerified, verifiedLately } from '../health/verified.ts';
import type { GlobalOptions } from '../server.ts';
import { ago } from '../system/instant.ts';
import { table } from '../system/table.ts';

/**
 * `fossilrepo backup status`: how old each repository's replica is, from when to when it can be restored, and when it was last verified.
 * Answers 4 when one is red.
 */
export async function backupStatus(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const covered = await coverageNow(forge);
    const windows = await windowsOrNone(
      forge,
      covered.map(({ id }) => id),
    );
    const last = new Map(verifiedLately(forge.store).databases.map((one) => [one.id, one.last]));
    const repositories = covered.map(({ id, name, ok, ageSeconds, why }) => {
      const window = windows?.get(id);
      return {
        name,
        id,
        ok,
        ageSeconds,
        why,
        from: window?.from?.toISOString() ?? null,
        to: window?.to?.toISOString() ?? null,
        verified: lastVerified(last.get(id)),
      };
    });
    const ok = windows !== undefined && repositories.every((repository) => repository.ok);
    const rows = repositories.map(({ id, name, ok: fine, ageSeconds, why, from, to, verified }) => [
      fine ? 'ok' : 'RED',
      name,
      ageSeconds === null ? '-' : `${ageSeconds.toFixed(1)} s`,
      from?.slice(0, 19) ?? '-',
      to?.slice(0, 19) ?? '-',
      last.has(id) ? whenVerified(verified) : '-',
      why,
    ]);
    forge.out.result(
      { ok, repositories },
      table(['', 'NAME', 'AGE', 'FROM (UTC)', 'TO (UTC)', 'VERIFIED', ''], rows),
    );
    if (!ok) process.exitCode = exitCodes.check;
  });
}

const whenVerified = (last: LastVerified | null): string =>
  last === null ? 'never' : `${last.ok ? '' : 'FAILED '}${ago(last.at)}`;

/** Undefined when the storage can't be asked: how old the replica is matters most then, and Litestream knows that. */
async function windowsOrNone(
  forge: Forge,
  ids: readonly string[],
): Promise<Map<string, RecoveryWindow> | undefined> {
  try {
    return await windowsOf(forge, ids);
  } catch (error) {
    forge.out.warn(`From when to when it can be restored is not known: ${messageOf(error)}`);
    return undefined;
  }
}

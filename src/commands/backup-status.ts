import { coverageNow } from '../backup/coverage-now.ts';
import { windowsOf } from '../backup/windows.ts';
import { exitCodes } from '../errors.ts';
import { withForge } from '../forge.ts';
import type { GlobalOptions } from '../server.ts';
import { table } from '../system/table.ts';

/** `fossilrepo backup status`: how old each repository's replica is and from when to when it can be restored. Answers 4 when one is red. */
export async function backupStatus(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const covered = await coverageNow(forge);
    const windows = await windowsOf(
      forge,
      covered.map(({ id }) => id),
    );
    const repositories = covered.map(({ id, name, ok, ageSeconds, why }) => {
      const window = windows.get(id);
      return {
        name,
        id,
        ok,
        ageSeconds,
        why,
        from: window?.from?.toISOString() ?? null,
        to: window?.to?.toISOString() ?? null,
      };
    });
    const ok = repositories.every((repository) => repository.ok);
    const rows = repositories.map(({ name, ok: fine, ageSeconds, why, from, to }) => [
      fine ? 'ok' : 'RED',
      name,
      ageSeconds === null ? '-' : `${ageSeconds.toFixed(1)} s`,
      from?.slice(0, 19) ?? '-',
      to?.slice(0, 19) ?? '-',
      why,
    ]);
    forge.out.result({ ok, repositories }, table(['', 'NAME', 'AGE', 'FROM (UTC)', 'TO (UTC)', ''], rows));
    if (!ok) process.exitCode = exitCodes.check;
  });
}

import { expect } from 'vitest';
import { eventually, type TestForge } from '../real/forge.ts';

/** Younger is called safe where `replica.maxAge` is left out. Seconds. */
const maxAge = 10;

type BackupStatus = { repositories: { name: string; ok: boolean; ageSeconds: number | null }[] };

/**
 * Waits, while the storage keeps everybody waiting and people push, until each limit that there is was met: `status` is red for the
 * replica's age, and for a storage that left the server's own questions without an answer (`storeDeadline`) twice; `backup now` has given up.
 * Litestream itself has none: it waits for an answer for a day (s3/replica_client.go).
 * @returns the age that `backup status` said, in seconds
 */
export async function meetLimits(forge: TestForge, name: string): Promise<number> {
  const asked = forge.cli('backup', 'now', name);
  let age = 0;
  await eventually(
    async () => {
      const { stdout } = await forge.cli('--json', 'backup', 'status');
      const { repositories } = JSON.parse(stdout) as BackupStatus;
      const said = repositories.find((one) => one.name === name);
      age = said?.ageSeconds ?? 0;
      return said?.ok === false && age > maxAge;
    },
    60_000,
    `${name} is more than ${maxAge} s old`,
  );
  const refused = await asked;
  expect(refused.code, refused.stdout).toBe(1);
  expect(refused.stdout).toMatch(/not up to \d+|deadline exceeded|did not answer/);
  let said = '';
  await eventually(
    async () => {
      const status = await forge.cli('status');
      said = status.stdout;
      return status.code === 4 && said.includes('does not answer');
    },
    60_000,
    'the storage is called silent',
  );
  return age;
}

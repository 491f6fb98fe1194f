import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { verifyRepository } from '../../src/repos/verify.ts';
import { run } from '../../src/system/run.ts';
import { has, type Pusher, restore } from '../real/pusher.ts';
import { type Claim, claimed, hardest } from './claims.ts';
import type { Stage } from './stage.ts';

export type Verdict = { lost: string[]; restored: number };

/**
 * What has to be true after every fault once `status` is green: everything acknowledged is in the live file and, after one `backup now`, in
 * what Litestream itself and `restore --into` bring back; each of these states is whole; what was called safe meanwhile was in the replica.
 * @returns the acknowledged check-ins that are missing somewhere, with where
 */
export async function judge(
  { forge, pushers }: Pick<Stage, 'forge'> & { pushers: readonly Pusher[] },
  claims: readonly Claim[],
): Promise<Verdict> {
  const now = await forge.cli('backup', 'now');
  expect(now.code, `backup now says:\n${now.stdout}${now.stderr}`).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), 'verdict-'));
  // The server's user writes into it.
  chmodSync(folder, 0o777);
  const lost: string[] = [];
  let restored = 0;
  const missing = (where: string, name: string, hashes: readonly string[]) =>
    lost.push(...hashes.map((hash) => `${hash} of ${name} is missing ${where}`));
  const look = async (where: string, name: string, file: string, hashes: readonly string[]) => {
    await expectWhole(file, folder, `${name} ${where}`);
    missing(where, name, has(file, hashes));
    restored += 1;
  };
  try {
    const into = join(folder, 'into');
    mkdirSync(into);
    chmodSync(into, 0o777);
    const names = pushers.map(({ name }) => name);
    const said = await forge.cli('restore', ...names, '--at', 'now', '--into', into);
    expect(said.code, `restore --into says:\n${said.stdout}${said.stderr}`).toBe(0);
    for (const pusher of pushers) {
      const { name, id, acknowledged } = pusher;
      missing('on the server', name, pusher.lostLive());
      await look('in what restore brings back', name, join(into, `${name}.fossil`), acknowledged);
      const file = join(folder, `${name}.fossil`);
      await restore(forge.root, id, file);
      await look('in what Litestream brings back', name, file, acknowledged);
    }
    for (const claim of hardest(claims)) {
      const { name, id } = claim.pusher;
      const file = join(folder, `claimed-${name}.fossil`);
      await restore(forge.root, id, file, claim.txid);
      await look(`in what was in the replica when it was called safe`, name, file, claimed(claim));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { lost, restored };
}

/** Every page of the database, and every artifact's hash as Fossil checks it. */
async function expectWhole(file: string, home: string, what: string): Promise<void> {
  const database = new DatabaseSync(file);
  try {
    expect(database.prepare('PRAGMA integrity_check').get(), what).toEqual({ integrity_check: 'ok' });
  } finally {
    database.close();
  }
  // What it prints, since it answers 0 whatever it finds.
  const { errors } = await verifyRepository(run, { program: 'fossil', home }, file);
  expect(errors, what).toEqual([]);
}

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../real/forge.ts';
import { has, type Pusher } from '../real/pusher.ts';
import { query } from '../real/support/fossil-lab.ts';
import type { Stage } from './stage.ts';

/** That a restore lost nothing to undo: everything acknowledged is in the live file or in what is kept of former states. */
export function keptOrLive({ forge }: Stage, pusher: Pusher): void {
  const folder = join(forge.root, 'data/work/undo');
  const kept = (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.endsWith('.fossil'))
    .map((name) => join(folder, name))
    .filter((file) => idOf(file) === pusher.id);
  // The live file first: what is pushed meanwhile is acknowledged later.
  const acknowledged = [...pusher.acknowledged];
  const missing = [pusher.path, ...kept].reduce(
    (hashes, file) => (hashes.length === 0 ? hashes : has(file, hashes)),
    acknowledged,
  );
  expect(missing, 'neither live nor kept for --undo').toEqual([]);
}

const idOf = (file: string): unknown =>
  query(file, "SELECT value FROM config WHERE name = 'fossilrepo-id'")[0]?.['value'];

/**
 * What a restore took away comes back with the next push of whoever has it, and counts as acknowledged from then on: while it is taken away,
 * `backup status` rightly calls a state without it safe.
 * @param at the instant that was restored to, in milliseconds since 1970
 */
export async function bringBack(pusher: Pusher, at: number): Promise<void> {
  await pusher.pause();
  await eventually(
    async () => (await pusher.push('--verily')) && pusher.lostLive().length === 0,
    30_000,
    'what was taken away is pushed again',
  );
  const now = Date.now();
  for (const [index, then] of pusher.acknowledgedAt.entries())
    if (then > at) pusher.acknowledgedAt[index] = now;
  pusher.go();
}

import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Said } from '../real/forge.ts';
import type { Pusher } from '../real/pusher.ts';
import { query } from '../real/support/fossil-lab.ts';
import type { Stage } from './stage.ts';

/** What a restore said, and which artifacts are in what came; none when it was refused. */
export type Attempt = Said & { artifacts: string[] };

/** Writes the state of an instant into a folder that is thrown away. */
export async function attempt({ forge }: Stage, { name }: Pusher, at: Date | 'now'): Promise<Attempt> {
  const into = join(forge.root, 'attempt');
  mkdirSync(into);
  chmodSync(into, 0o777);
  try {
    const when = at === 'now' ? at : at.toISOString();
    const said = await forge.cli('restore', name, '--at', when, '--into', into);
    return { ...said, artifacts: said.code === 0 ? artifactsIn(join(into, `${name}.fossil`)) : [] };
  } finally {
    rmSync(into, { recursive: true });
  }
}

/** The artifacts in a repository's file, by hash. */
export const artifactsIn = (file: string): string[] =>
  query(file, 'SELECT uuid FROM blob ORDER BY uuid').map((row) => String(row['uuid']));

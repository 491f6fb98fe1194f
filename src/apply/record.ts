import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';

const record = z.object({ users: z.array(z.string()), groups: z.array(z.string()) });

/** The users and groups that install made here, which are the ones that a purge may take away. */
export type InstallRecord = z.output<typeof record>;

export function readRecord(paths: Pick<Paths, 'installed'>): InstallRecord {
  const text = readIfThere(paths.installed);
  return text === undefined ? { users: [], groups: [] } : record.parse(JSON.parse(text));
}

/** Notes a user or group, before it is made. */
export function recordAccount(
  paths: Pick<Paths, 'installed'>,
  kind: keyof InstallRecord,
  name: string,
): void {
  const now = readRecord(paths);
  if (now[kind].includes(name)) return;
  mkdirSync(dirname(paths.installed), { recursive: true, mode: 0o711 });
  writeAtomic(paths.installed, `${JSON.stringify({ ...now, [kind]: [...now[kind], name] })}\n`, 0o644);
}

import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import { readIfThere, writeAtomic } from '../system/files.ts';

const names = z.array(z.string());
const record = z.object({ users: names, groups: names, folders: names.default([]) });

/** What install made here of things that others can have made, too: only this may a purge take away. */
export type InstallRecord = z.output<typeof record>;

export function readRecord(paths: Pick<Paths, 'installed'>): InstallRecord {
  const text = readIfThere(paths.installed);
  return text === undefined ? { users: [], groups: [], folders: [] } : record.parse(JSON.parse(text));
}

/** Notes a user, group or folder, before it is made. */
export function recordMade(paths: Pick<Paths, 'installed'>, kind: keyof InstallRecord, name: string): void {
  const now = readRecord(paths);
  if (now[kind].includes(name)) return;
  mkdirSync(dirname(paths.installed), { recursive: true, mode: 0o755 });
  writeAtomic(paths.installed, `${JSON.stringify({ ...now, [kind]: [...now[kind], name] })}\n`, 0o644);
}

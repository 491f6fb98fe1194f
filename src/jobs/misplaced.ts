import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';
import { idOfFile } from '../repos/file.ts';
import { type Brought, noteBrought, readBrought } from '../store/brought.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';

/** Repositories in service without a file, and how each comes back. */
export function missingFiles(
  { paths, store }: Pick<Forge, 'paths' | 'store'>,
  rows: readonly Repository[],
): Finding[] {
  const gone = rows.filter(({ file }) => !existsSync(join(paths.data, file)));
  const brought = readBrought(store);
  if (brought) forgetFound({ paths, store }, brought);
  // What never came back with a server that is as of an instant belongs to that instant; what was lost since, to now.
  const instant = ({ id }: Repository): string =>
    brought?.missing.includes(id) === true ? (brought.at ?? 'now') : 'now';
  return gone.map((row) => ({
    level: 'red',
    about: row.name,
    what: `The file of ${row.name} is gone: ${join(paths.data, row.file)}.`,
    next: `Put it back from where it was moved to, or bring it back from the replica: fossilrepo restore ${row.name} --at ${instant(row)}`,
  }));
}

/** Whether a path is a link, wherever that leads. */
export const isLink = (file: string): boolean =>
  lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** A managed repository that somebody moved to another disk: what a link leads to is out of reach for the units, and may be anything. */
export const linkedFiles = ({ paths }: Pick<Forge, 'paths'>, rows: readonly Repository[]): Finding[] =>
  rows
    .filter(({ file }) => isLink(join(paths.data, file)))
    .map(({ name, file }) => ({
      level: 'red',
      about: name,
      what: `The file of ${name} is a link, and is not served: ${join(paths.data, file)}.`,
      next: `Put the file itself back in its place. Where ${paths.data} has no room, give it a larger disk.`,
    }));

/** One that came back after all is as any other from then on; what else lies in its place is not it. */
function forgetFound({ paths, store }: Pick<Forge, 'paths' | 'store'>, brought: Brought): void {
  const missing = brought.missing.filter((id) => {
    const row = findRepositoryById(store, id);
    return row !== undefined && (row.state === 'trashed' || !liesThere(join(paths.data, row.file), id));
  });
  if (missing.length < brought.missing.length) noteBrought(store, { ...brought, missing });
}

function liesThere(file: string, id: string): boolean {
  try {
    return existsSync(file) && !isLink(file) && idOfFile(file) === id;
  } catch {
    return false;
  }
}

import { chownSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoryStore } from '../../src/backup/directory-store.ts';
import { filesFor, type HistoryFile, listHistory, readHeader } from '../../src/backup/history.ts';
import { partKey } from '../../src/backup/location.ts';
import { instanceOf, type Pusher } from '../real/pusher.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';

/** An object that is needed to bring back an instant. */
export type Victim = { object: HistoryFile; path: string; at: Date };

const store = (stage: Stage) => directoryStore(join(stage.forge.root, 'var/backups/fossilrepo'));

/** Everything that the replica's folder holds of a repository, by level. */
export const historyIn = (stage: Stage, { id }: Pusher): Promise<HistoryFile[]> =>
  listHistory({
    store: store(stage),
    kind: 'directory',
    key: partKey(instanceOf(stage.forge.root), `repos/${id}`),
  });

/** Where an object lies. */
export const pathOf = (stage: Stage, { key }: HistoryFile): string =>
  join(stage.forge.root, 'var/backups/fossilrepo', key);

/** When an object's last transaction was taken out of the database, as its header says. */
export async function takenAt(stage: Stage, object: HistoryFile): Promise<Date> {
  const header = await readHeader(store(stage), object);
  if (typeof header === 'string') throw new Error(`${object.key} is ${header}`);
  return header.takenAt;
}

/** The instants that some object of a level is needed for: one of them, and the object. Undefined when there is none yet. */
export async function neededOf(
  stage: Stage,
  pusher: Pusher,
  level: number,
  luck: Luck,
): Promise<Victim | undefined> {
  const history = await historyIn(stage, pusher);
  const needs = history
    .filter((one) => one.level === 0)
    .flatMap(({ max }) => {
      const { files, missing } = filesFor(history, max);
      const objects = missing === undefined ? files.filter((file) => file.level === level) : [];
      return objects.map((object) => ({ object, max }));
    });
  if (needs.length === 0) return undefined;
  const { object, max } = luck.pick(needs);
  const single = history.find((one) => one.level === 0 && one.max === max);
  if (single === undefined) throw new Error(`transaction ${max} has no object of its own`);
  return { object, path: pathOf(stage, object), at: await takenAt(stage, single) };
}

/** An object as it was, with its time. @returns what puts it back */
export function remember(path: string): () => void {
  const bytes = readFileSync(path);
  const { atime, mtime, uid, gid } = statSync(path);
  return () => {
    rmSync(path, { force: true });
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    chownSync(path, uid, gid);
  };
}

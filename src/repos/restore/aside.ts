import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import type { Paths } from '../../config/paths.ts';
import type { Forge } from '../../forge.ts';
import { addEvent } from '../../store/events.ts';
import { findRepositoryById } from '../../store/repositories.ts';
import { beginRestore, endRestore, findRestore } from '../../store/restores.ts';
import { transaction } from '../../store/store.ts';
import { tryHold } from '../../system/locks.ts';
import { parseJson } from '../../system/json.ts';
import { asidePrefix, scratch } from '../scratch.ts';
import { toldAs } from './settle.ts';

/** What a command is about to do with one repository; instants are milliseconds since 1970. */
const noteSchema = z.object({
  id: z.string(),
  repository: z.string(),
  kind: z.enum(['restore', 'undo']),
  at: z.number(),
  begunAt: z.number(),
});
type Note = z.output<typeof noteSchema>;

/** Where one command has the states that it fetches, until they are in their places: `using aside = openAside(paths)`. */
export type Aside = {
  /** Where the state of one restore is fetched to, relative to the data folder. */
  placeOf: (restore: string) => string;
  /** Writes down what is about to be done, so that it can be told if the command is killed before it begins. */
  note: (note: Omit<Note, 'begunAt'>) => void;
  /** It came to nothing, and the command says so itself. */
  drop: (restore: string) => void;
  [Symbol.dispose]: () => void;
};

const lockIn = (folder: string): string => join(folder, 'lock');
const noteIn = (folder: string, restore: string): string => join(folder, `${restore}.json`);
/** Litestream may be writing there yet: it outlives a command that was killed. */
const gone = { recursive: true, force: true, maxRetries: 10, retryDelay: 20 };

/**
 * Makes a folder that is this command's by a lock of the kernel's as long as it lives, whatever ends it.
 * @param options.noted false for a dry run: nothing would come of it, so that there is nothing to tell
 */
export function openAside(paths: Pick<Paths, 'tmp' | 'data'>, { noted }: { noted: boolean }): Aside {
  const made = scratch(paths).path;
  const lock = tryHold(lockIn(made));
  // Under its name it is locked from the first moment.
  const folder = join(paths.tmp, `${asidePrefix}${randomUUID()}`);
  renameSync(made, folder);
  return {
    placeOf: (restore) => join(relative(paths.data, folder), `${restore}.fossil`),
    note: (note) => {
      const text = JSON.stringify({ ...note, begunAt: Date.now() } satisfies Note);
      if (noted) writeFileSync(noteIn(folder, note.id), text);
    },
    drop: (restore) => rmSync(noteIn(folder, restore), { force: true }),
    [Symbol.dispose]: () => {
      rmSync(folder, gone);
      lock?.[Symbol.dispose]();
    },
  };
}

/**
 * Clears away what commands left that were killed before they began to exchange anything: while they fetched, checked or asked. It is written
 * down as a restore that came to nothing. Needs no lock: what belongs to a living command is locked by that.
 */
export function settleAsides({ paths, store }: Pick<Forge, 'paths' | 'store'>): void {
  for (const entry of readdirSync(paths.tmp, { withFileTypes: true })) {
    if (!entry.isDirectory() || !entry.name.startsWith(asidePrefix)) continue;
    const folder = join(paths.tmp, entry.name);
    using lock = tryHold(lockIn(folder));
    // Another one may have cleared it away meanwhile.
    if (lock === undefined || !existsSync(folder)) continue;
    // First, for the disk may be full: to write down what became of it needs room.
    for (const name of readdirSync(folder)) if (name.includes('.fossil')) rmSync(join(folder, name), gone);
    for (const note of notesIn(folder)) tell(store, note);
    rmSync(folder, gone);
  }
}

/** Whether the command of a restore still runs. The caller has cleared away what dead ones left. */
export const isUnderWay = (paths: Pick<Paths, 'tmp'>, restore: string): boolean =>
  readdirSync(paths.tmp).some(
    (name) => name.startsWith(asidePrefix) && existsSync(noteIn(join(paths.tmp, name), restore)),
  );

function notesIn(folder: string): Note[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      // One that was killed while it wrote this had not fetched yet; one of another version is cleared away without a word.
      const parsed = noteSchema.safeParse(parseJson(readFileSync(join(folder, name), 'utf8')));
      return parsed.success ? [parsed.data] : [];
    });
}

/** One that was begun has a row of its own, and is settled by that. */
function tell(store: Forge['store'], note: Note): void {
  if (findRestore(store, note.id)) return;
  const name = findRepositoryById(store, note.repository)?.name ?? note.repository;
  transaction(store, () => {
    beginRestore(store, { ...note, undoFile: null, receipt: 0, was: 'whole' });
    endRestore(store, note.id, { outcome: 'not done', interrupted: true });
    addEvent(store, {
      kind: 'restored',
      text: toldAs(note, name, false),
      repository: note.repository,
    });
  });
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { fossilExport } from '../../programs/fossil.ts';
import { gitFastImport } from '../../programs/git-cache.ts';
import { freezeIdents, type Ident, identsOf } from '../../store/idents.ts';
import { type Running, start } from '../../system/stream.ts';
import { commitsOf } from './commits.ts';
import { filesOf } from './files.ts';
import { identOf } from './ident.ts';
import type { Picked } from './pick.ts';

/** What Git has now: its hashes by Fossil's. */
export type Imported = { checkins: ReadonlyMap<string, string>; files: ReadonlyMap<string, string> };

/**
 * Writes what was picked into a Git repository: new files' contents as `fossil export` writes them, then the commits. Nothing refers to
 * them before the caller says so.
 * @param place.files the Fossil repository that has the new files' contents
 * @param place.work a folder that Fossil may write
 * @param known Git's hash of a check-in that was exported before
 * @throws OperatorError when a program fails, is killed, or writes anything but what was expected
 */
export async function importInto(
  { config, store }: Pick<Forge, 'config' | 'store'>,
  place: { repository: string; git: string; files: string; work: string },
  picked: Picked,
  known: (checkin: string) => string | undefined,
  options: { signal?: AbortSignal; progress?: (done: number, all: number) => void },
): Promise<Imported> {
  const none = { checkins: new Map<string, string>(), files: new Map<string, string>() };
  if (picked.fresh === 0) return none;
  const marked = join(place.work, 'marks');
  const files = new Map<string, number>();
  const commits = new Map<string, number>();
  const idents = freeze(store, place.repository, picked);
  const importing = start(gitFastImport(place.git, marked), options.signal);
  let exporting: Running | undefined;
  const stream = async function* (): AsyncGenerator<Buffer> {
    if (picked.files.size > 0) {
      exporting = start(
        fossilExport(config.programs.fossil, { file: place.files, home: place.work }),
        options.signal,
      );
      exporting.input.end();
      yield* filesOf(exporting.output, picked.files, files);
      await exporting.ended;
    }
    for (const piece of commitsOf(picked, { git: known, files, idents }, commits)) {
      yield piece;
      options.progress?.(commits.size, picked.fresh);
    }
    yield Buffer.from('done\n');
  };
  try {
    importing.output.resume();
    await pipeline(Readable.from(stream(), { objectMode: false }), importing.input, {
      ...(options.signal && { signal: options.signal }),
    }).catch(async (error: unknown) => {
      // Git that went away is the cause of a broken pipe; whatever else it was is the cause itself.
      if (isBrokenPipe(error)) await importing.ended;
      throw error;
    });
    await importing.ended;
  } finally {
    exporting?.stop();
    importing.stop();
    await importing.ended.catch(() => undefined);
  }
  return { checkins: objects(marked, commits), files: objects(marked, files) };
}

const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].includes(String(error.code));

/** Who made the new check-ins, each called as the first time that one of theirs was exported. */
function freeze(store: Forge['store'], repository: string, { people }: Picked): Map<string, Ident> {
  const known = identsOf(store, repository);
  const fresh = new Map(
    [...people].filter(([login]) => !known.has(login)).map(([login, info]) => [login, identOf(login, info)]),
  );
  if (fresh.size > 0) freezeIdents(store, repository, fresh);
  return new Map([...known, ...fresh]);
}

/** Git's hash of each mark, in the file that `git fast-import` writes at its end. @throws OperatorError when one is missing */
function objects(file: string, marks: ReadonlyMap<string, number>): Map<string, string> {
  const hashes = new Map<number, string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, mark, hash] = /^:(\d+) ([0-9a-f]{40})$/.exec(line) ?? [];
    if (hash !== undefined) hashes.set(Number(mark), hash);
  }
  return new Map(
    [...marks].map(([name, mark]) => {
      const hash = hashes.get(mark);
      if (hash === undefined) throw new OperatorError(`git fast-import does not say what became of ${name}.`);
      return [name, hash];
    }),
  );
}

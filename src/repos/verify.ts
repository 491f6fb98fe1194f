import type { DatabaseSync } from 'node:sqlite';
import { messageOf, OperatorError } from '../errors.ts';
import { fossilTestIntegrity } from '../programs/fossil.ts';
import { databaseErrors, readTestIntegrity } from '../programs/fossil-integrity.ts';
import type { Run } from '../system/run.ts';
import { countSound } from './artifacts.ts';
import { decompress, hashLike } from './content.ts';
import { hasFossilTables } from './file.ts';
import { asOperatorError, openRepository } from './open.ts';

/** How much was read and hashed. */
export type StateCounts = {
  artifacts: number;
  unversioned: number;
  /** Artifacts that were pushed as the difference from one that has not come yet: the push was not at its end, or never got there. */
  waiting: number;
};

export type Verification = StateCounts & {
  /** One sentence for each thing that is wrong; empty when all is well. */
  errors: string[];
};

/**
 * Reads everything in a repository and compares it with its hash: artifacts by Fossil (94 MB of content a second; those of a small
 * repository in this process, unless something is wrong with them), then SQLite's own check, then the unversioned files, which Fossil's
 * check leaves out. Works on one that is served, and changes nothing in it (Fossil may move pages from the write-ahead log into the file,
 * as after every request).
 * @param fossil.home a folder that Fossil may write
 * @throws OperatorError when the file isn't there or the check itself could not be made
 */
export async function verifyRepository(
  run: Run,
  fossil: { program: string; home: string },
  file: string,
): Promise<Verification> {
  try {
    using database = openRepository(file, { readOnly: true });
    const sound = hasFossilTables(database) ? countSound(database) : undefined;
    if (sound !== undefined) {
      const { count, errors } = verifyUnversioned(database);
      return { artifacts: sound, unversioned: count, waiting: 0, errors };
    }
    const { stdout, stderr } = await run(fossilTestIntegrity(fossil.program, { file, home: fossil.home }));
    const artifacts = readArtifacts(database, stdout, stderr);
    const unversioned = verifyUnversioned(database);
    return {
      artifacts: artifacts.count,
      unversioned: unversioned.count,
      waiting: artifacts.waiting,
      errors: [
        ...artifacts.errors,
        ...databaseErrors(stdout).map((error) => `database: ${error}`),
        ...unversioned.errors,
      ],
    };
  } catch (error) {
    const known = asOperatorError(file, error);
    // So damaged that SQLite can't read it at all: that is an answer.
    if (known instanceof OperatorError && known.exit === 'check')
      return { artifacts: 0, unversioned: 0, waiting: 0, errors: [known.message] };
    throw known;
  }
}

/** What is told of a state that is whole. */
export const inWords = ({ artifacts, unversioned, waiting }: StateCounts): string =>
  `${artifacts} artifacts and ${unversioned} unversioned files have the right hash${waitingInWords(waiting)}`;

/** What is to be said of those that wait, after something else; empty when there is none. */
export const waitingInWords = (waiting: number): string =>
  waiting === 0 ? '' : `; ${waiting} more can be read when the push that brought them is completed`;

type Checked = { count: number; errors: string[] };

function readArtifacts(
  database: DatabaseSync,
  stdout: string,
  stderr: string,
): Checked & { waiting: number } {
  try {
    const { artifacts, errors } = readTestIntegrity(stdout);
    const waiting = waitingArtifacts(database);
    const wrong = errors.filter((line) => !waiting.has(ridOf(line) ?? 0));
    return {
      count: artifacts - waiting.size,
      waiting: waiting.size,
      errors: wrong.map((line) => nameArtifact(database, line)),
    };
  } catch {
    const said = (stderr.trim() || stdout.trim()).split(/[\r\n]+/).at(-1) ?? '';
    return { count: 0, waiting: 0, errors: [`Fossil could not read it to the end: ${said}`] };
  }
}

/**
 * What is stored as the difference from a phantom, of which only the name is known: between two rounds of a push that is no damage, and
 * content_is_available (content.c) passes over it. `test-integrity` takes it for a wrong hash.
 */
function waitingArtifacts(database: DatabaseSync): Set<number> {
  const rows = database
    .prepare(
      `WITH RECURSIVE waits(rid) AS (
         SELECT rid FROM phantom JOIN blob USING (rid) WHERE size < 0
         UNION SELECT delta.rid FROM waits JOIN delta ON delta.srcid = waits.rid)
       SELECT rid FROM waits JOIN blob USING (rid) WHERE size >= 0`,
    )
    .all();
  return new Set(rows.map((row) => Number(row['rid'])));
}

/** The row that a complaint is about. */
function ridOf(line: string): number | undefined {
  const [, rid] = /^(?:wrong hash|size mismatch) on artifact (\d+)/.exec(line) ?? [];
  return rid === undefined ? undefined : Number(rid);
}

/** Fossil tells only the row's number: say which artifact that is, and of which file. */
function nameArtifact(database: DatabaseSync, line: string): string {
  const rid = ridOf(line);
  if (rid === undefined) return line;
  const row = database
    .prepare(
      `SELECT uuid, (SELECT name FROM mlink JOIN filename USING (fnid) WHERE fid = rid LIMIT 1) AS name
       FROM blob WHERE rid = ?`,
    )
    .get(rid);
  const name = typeof row?.['name'] === 'string' ? ` (${row['name']})` : '';
  return `artifact ${String(row?.['uuid'])}${name}: ${line}`;
}

/** Table `unversioned` (unversioned.c): a deleted file has no hash. It is there only where one was ever added. */
function verifyUnversioned(database: DatabaseSync): Checked {
  const exists = database
    .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'unversioned'")
    .get();
  if (exists === undefined) return { count: 0, errors: [] };
  const errors: string[] = [];
  let count = 0;
  // Row by row, since one file may take a gigabyte; and without a pause, since a reader must not stay open.
  const rows = database.prepare(
    'SELECT name, hash, sz, encoding, content FROM unversioned WHERE hash IS NOT NULL',
  );
  for (const row of rows.iterate()) {
    count += 1;
    const problem = problemWithContent(row['content'], row);
    if (problem !== undefined) errors.push(`unversioned file ${String(row['name'])}: ${problem}`);
  }
  return { count, errors };
}

function problemWithContent(content: unknown, row: Record<string, unknown>): string | undefined {
  if (!(content instanceof Uint8Array)) return Number(row['sz']) === 0 ? undefined : 'its content is missing';
  try {
    const plain = row['encoding'] === 1 ? decompress(content) : content;
    const hash = String(row['hash']);
    if (plain.length !== Number(row['sz'])) return `${plain.length} bytes instead of ${String(row['sz'])}`;
    return hashLike(hash, plain) === hash ? undefined : 'its content has another hash';
  } catch (error) {
    return `its content cannot be unpacked (${messageOf(error)})`;
  }
}

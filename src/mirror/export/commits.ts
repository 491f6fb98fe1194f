import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../../errors.ts';
import type { Ident } from '../../store/idents.ts';
import type { Checkin } from './history.ts';
import type { Picked } from './pick.ts';

/** The one ref that all commits are imported to; it is gone afterwards. */
export const importRef = 'refs/fossil/import';

/** How much is collected before it is written. Bytes. */
const portion = 65_536;

/**
 * The commits of the check-ins that were picked, as `git fast-import` reads them.
 * @param sources.git Git's hash of what the cache has, by Fossil's
 * @param sources.files the mark of each new file
 * @param marks gets the mark of each check-in
 */
export function* commitsOf(
  { database, history: { checkins } }: Pick<Picked, 'database' | 'history'>,
  sources: {
    git: (checkin: string) => string | undefined;
    files: ReadonlyMap<string, number>;
    idents: ReadonlyMap<string, Ident>;
  },
  marks: Map<string, number>,
): Generator<Buffer> {
  const changes = changesOf(database, sources.files);
  let mark = 0;
  for (const used of sources.files.values()) mark = Math.max(mark, used);
  let collected = '';
  for (const row of database
    .prepare('SELECT seq, hash, at, login, text FROM checkin ORDER BY seq')
    .iterate()) {
    const checkin = checkins.get(String(row['hash']));
    const ident = sources.idents.get(String(row['login']));
    if (checkin === undefined || ident === undefined)
      throw new Error(`${String(row['hash'])} was not picked`);
    marks.set(checkin.hash, ++mark);
    const nameOf = (hash: string) => {
      const known = marks.get(hash);
      return (known === undefined ? sources.git(hash) : `:${known}`) ?? impossible(`${hash} has no commit`);
    };
    collected += headOf(checkin, { mark, ident, at: Number(row['at']), text: row['text'] }, nameOf);
    for (const change of changes.of(Number(row['seq']))) collected += change;
    collected += '\n';
    if (collected.length < portion) continue;
    yield Buffer.from(collected, 'latin1');
    collected = '';
  }
  yield Buffer.from(collected, 'latin1');
}

/** Bytes as text of as many characters: what is written is made of text, and names and messages may be no UTF-8. */
const binary = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('latin1');

function headOf(
  checkin: Checkin,
  made: { mark: number; ident: Ident; at: number; text: unknown },
  nameOf: (hash: string) => string,
): string {
  const message = messageOf(made.text, checkin.hash);
  const [first, ...others] = checkin.parents.map(nameOf);
  return [
    // Otherwise it would come after the one before.
    ...(first === undefined ? [`reset ${importRef}`, ''] : []),
    `commit ${importRef}`,
    `mark :${made.mark}`,
    `committer ${binary(made.ident.name)} <${binary(made.ident.mail)}> ${made.at} +0000`,
    `data ${message.length}`,
    message,
    ...(first === undefined ? [] : [`from ${first}`]),
    ...others.map((other) => `merge ${other}`),
    ...(checkin.tree ? ['deleteall'] : []),
    '',
  ].join('\n');
}

/** The text and the trailer as `fossil git export` writes them (gitmirror_send_checkin in export.c). */
function messageOf(text: unknown, hash: string): string {
  const [said] = text instanceof Uint8Array ? binary(text).split('\0', 1) : [];
  return `${said || '(no comment)'}\n\nFossilOrigin-Name: ${hash}`;
}

/** What each check-in changes; they have to be asked for in their order. */
function changesOf(database: DatabaseSync, marks: ReadonlyMap<string, number>) {
  const rows = database
    .prepare(
      // What goes has to go first: a folder may take the place of a file.
      `SELECT c.seq, c.name, c.hash, c.mode, f.git FROM change c LEFT JOIN known.file f ON f.fossil = c.hash
       ORDER BY c.seq, c.hash NOT NULL, c.name`,
    )
    .iterate();
  let next = rows.next();
  return {
    *of(seq: number): Generator<string> {
      for (; !next.done && Number(next.value['seq']) === seq; next = rows.next()) {
        const { name, hash, mode, git } = next.value;
        if (hash === null) {
          yield `D ${quoted(name)}\n`;
          continue;
        }
        const mark = marks.get(String(hash));
        const content = mark === undefined ? git : `:${mark}`;
        if (typeof content !== 'string') return impossible(`${String(hash)} has no file`);
        yield `M ${String(mode)} ${content} ${quoted(name)}\n`;
      }
    },
  };
}

/** A path in quotes, in which nothing can end the line or the quotes. */
function quoted(name: unknown): string {
  if (!(name instanceof Uint8Array) || name.length === 0) return impossible('a file has no name');
  const text = binary(name).replaceAll(
    /[\u0000-\u001f"\\\u007f]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return `"${text}"`;
}

function impossible(what: string): never {
  throw new OperatorError(`This repository's tables don't fit together: ${what}.`, {
    next: 'fossilrepo repo maintain writes them anew.',
    exit: 'check',
  });
}

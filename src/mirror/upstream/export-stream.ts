import { unquotePath } from '../../programs/git-fast-export.ts';
import type { ByteReader } from './byte-reader.ts';

/** A change of one path against the first parent; without a mode it is gone. A path is its bytes, each a character. */
export type PathChange = { path: string; to: { mode: string; mark: number } | undefined };

/** What `git fast-export` writes of a history, as far as it matters here. Texts are bytes, each a character (`latin1`). */
export type Exported =
  | { is: 'blob'; mark: number; content: Buffer }
  | {
      is: 'commit';
      hash: string;
      /** `NAME <MAIL>`. */
      author: string;
      /** When it was committed. Seconds since 1970. */
      at: number;
      message: Buffer;
      changes: PathChange[];
      /** Paths that are other repositories (submodules): there is nothing of them to take. */
      submodules: number;
    };

/**
 * Reads the stream (git help fast-import, "Input format") record by record.
 * @throws Error when it ends in the middle or holds what is not expected
 */
export async function* readExport(from: ByteReader): AsyncGenerator<Exported> {
  let line = await from.line();
  while (line !== undefined) {
    if (line === 'blob') yield await readBlob(from);
    else if (line.startsWith('commit ')) {
      const commit = await readCommit(from);
      yield commit.record;
      line = commit.next;
      continue;
    } else if (!/^(reset |from |$)/.test(line)) throw unexpected(line);
    line = await from.line();
  }
}

const unexpected = (line: string) =>
  new Error(`git fast-export wrote “${line.slice(0, 100)}”, which is not expected there`);

/** `mark :5` → 5 */
const markOf = (text: string): number => Number(text.slice(text.indexOf(':') + 1));

async function readData(from: ByteReader, line: string | undefined): Promise<Buffer> {
  const [, length] = /^data (\d+)$/.exec(line ?? '') ?? [];
  if (length === undefined) throw unexpected(line ?? 'nothing');
  return await from.take(Number(length));
}

async function readBlob(from: ByteReader): Promise<Exported> {
  let mark = 0;
  for (let line = await from.line(); ; line = await from.line()) {
    if (line?.startsWith('mark :')) mark = markOf(line);
    else if (!line?.startsWith('original-oid '))
      return { is: 'blob', mark, content: await readData(from, line) };
  }
}

async function readCommit(
  from: ByteReader,
): Promise<{ record: Exported & { is: 'commit' }; next: string | undefined }> {
  let [hash, author, at] = ['', '', 0];
  let line = await from.line();
  for (; line !== undefined && !line.startsWith('data '); line = await from.line()) {
    if (line.startsWith('original-oid ')) hash = line.slice('original-oid '.length);
    else if (line.startsWith('author ')) author = identOf(line.slice('author '.length)).who;
    else if (line.startsWith('committer ')) {
      const committer = identOf(line.slice('committer '.length));
      at = committer.at;
      if (author === '') author = committer.who;
    } else if (!/^(mark |encoding |gpgsig )/.test(line)) throw unexpected(line);
  }
  const message = await readData(from, line);
  const changes: PathChange[] = [];
  let submodules = 0;
  for (line = await from.line(); line !== undefined && line !== ''; line = await from.line()) {
    if (line.startsWith('M ')) {
      const [, mode = '', what = '', path = ''] = /^M (\d+) (\S+) (.*)$/s.exec(line) ?? [];
      const isOther = mode === '160000';
      if (isOther) submodules += 1;
      else if (!what.startsWith(':')) throw unexpected(line);
      changes.push({ path: unquotePath(path), to: isOther ? undefined : { mode, mark: markOf(what) } });
    } else if (line.startsWith('D ')) changes.push({ path: unquotePath(line.slice(2)), to: undefined });
    else if (line.startsWith('commit ') || line === 'blob' || line.startsWith('reset ')) break;
    else if (!/^(from |merge |deleteall$)/.test(line)) throw unexpected(line);
  }
  return { record: { is: 'commit', hash, author, at, message, changes, submodules }, next: line };
}

/** `NAME <MAIL> SECONDS ZONE`; a name may hold anything but a line end. */
function identOf(text: string): { who: string; at: number } {
  const [, who = '', at = ''] = /^(.*) (-?\d+) [+-]\d+$/s.exec(text) ?? [];
  return { who, at: Number(at) };
}

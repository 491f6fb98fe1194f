import { createHash, type Hash } from 'node:crypto';
import { OperatorError } from '../../errors.ts';

/** A line of the stream is short: a mark and a length. Bytes. */
const longestLine = 100;

/**
 * Takes the files in a stream of `fossil export` to `git fast-import`, and compares each with its hash. Whatever their size, no more than
 * what was read at once is held.
 * @param expected Fossil's hashes of all files that have to come
 * @param marks gets the mark of each hash
 * @throws OperatorError when the stream ends before its end, or is not what it has to be
 */
export async function* filesOf(
  stream: AsyncIterable<Buffer>,
  expected: ReadonlySet<string>,
  marks: Map<string, number>,
): AsyncGenerator<Buffer> {
  const algorithms = ['sha1', 'sha3-256'].filter((name) =>
    expected.values().some((hash) => (hash.length === 40) === (name === 'sha1')),
  );
  let held: Buffer = Buffer.alloc(0);
  let file: { mark: number; left: number; hashes: Hash[] } | undefined;
  for await (const piece of stream) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    for (;;) {
      if (file === undefined) {
        const header = readHeader(held);
        if (header === undefined) break;
        const { mark, size, length } = header;
        yield held.subarray(0, length);
        held = held.subarray(length);
        file = { mark, left: size, hashes: algorithms.map((name) => createHash(name)) };
      }
      const content = held.subarray(0, file.left);
      for (const hash of file.hashes) hash.update(content);
      if (content.length > 0) yield content;
      file.left -= content.length;
      held = held.subarray(content.length);
      if (file.left > 0 || held.length === 0) break;
      if (held[0] !== newline) throw unreadable('a file has no end');
      yield held.subarray(0, 1);
      held = held.subarray(1);
      const digests = file.hashes.map((hash) => hash.digest('hex'));
      const hash = digests.find((digest) => expected.has(digest));
      if (hash === undefined) throw unreadable(`one of its files has a hash that no check-in names`);
      marks.set(hash, file.mark);
      file = undefined;
    }
  }
  if (file !== undefined || held.length > 0) throw unreadable('it was cut short');
  if (marks.size !== expected.size) throw unreadable(`it has ${marks.size} of ${expected.size} files`);
}

const newline = 10;

/** `blob`, its mark and its length; undefined when not all of it was read. */
function readHeader(bytes: Buffer): { mark: number; size: number; length: number } | undefined {
  const start = bytes.subarray(0, longestLine).toString('latin1');
  const [header, mark, size] = /^blob\nmark :(\d+)\ndata (\d+)\n/.exec(start) ?? [];
  if (header !== undefined) return { mark: Number(mark), size: Number(size), length: header.length };
  if (bytes.length >= longestLine) throw unreadable(`it says ${JSON.stringify(start)}`);
  return undefined;
}

const unreadable = (what: string): OperatorError =>
  new OperatorError(`What fossil export writes can't be used: ${what}.`, {
    next: 'Check the repository with fossilrepo repo verify, and run the command again.',
  });

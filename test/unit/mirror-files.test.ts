import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { filesOf } from '../../src/mirror/export/files.ts';

const contents = [
  '',
  'one\n',
  'blob\nmark :9\ndata 3\nabc\n',
  Buffer.from([0, 255, 10, 10]),
  'x'.repeat(500),
].map((one) => Buffer.from(one));
const record = (content: Buffer, mark: number) =>
  Buffer.concat([Buffer.from(`blob\nmark :${mark}\ndata ${content.length}\n`), content, Buffer.from('\n')]);
const whole = Buffer.concat(contents.map((content, index) => record(content, index + 1)));
const hashes = contents.map((content, index) =>
  createHash(index % 2 === 0 ? 'sha1' : 'sha3-256')
    .update(content)
    .digest('hex'),
);

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Promise.resolve(bytes.subarray(at, at + size));
}

async function taken(bytes: Buffer, size: number, expected: Iterable<string> = hashes) {
  const marks = new Map<string, number>();
  const pieces: Buffer[] = [];
  for await (const piece of filesOf(inPieces(bytes, size), new Set(expected), marks)) pieces.push(piece);
  return { stream: Buffer.concat(pieces), marks };
}

test.each([1, 2, 3, 7, 64, 10_000])(
  'files come through whole in pieces of %i bytes, each known by its hash',
  async (size) => {
    const { stream, marks } = await taken(whole, size);
    expect(stream.equals(whole)).toBe(true);
    expect([...marks]).toEqual(hashes.map((hash, index) => [hash, index + 1]));
  },
);

test('wherever the stream is cut, that is an error', async () => {
  for (let length = 0; length < whole.length; length++)
    await expect(taken(whole.subarray(0, length), 64), `${length} bytes`).rejects.toThrow(
      /cut short|of 5 files/,
    );
});

test.each([
  [
    'other content',
    Buffer.from(whole.toString('latin1').replace('one', 'two'), 'latin1'),
    /no check-in names/,
  ],
  [
    'a length that is too large',
    Buffer.from(whole.toString('latin1').replace('data 4', 'data 5'), 'latin1'),
    /no end/,
  ],
  [
    'something else',
    Buffer.concat([whole, Buffer.from(`commit refs/heads/trunk\n${'x'.repeat(200)}`)]),
    /it says "commit/,
  ],
])('%s is an error', async (_, bytes, expected) => {
  await expect(taken(bytes, 64)).rejects.toThrow(expected);
});

test('a file too few is an error', async () => {
  await expect(taken(whole, 64, [...hashes, 'f'.repeat(40)])).rejects.toThrow('5 of 6 files');
});

import type { Readable } from 'node:stream';

/** Reads lines and blocks of bytes from a stream. A line is its bytes, each a character (`latin1`). */
export type ByteReader = {
  /** Without its end; undefined at the stream's end. @throws Error when the last line has no end */
  line: () => Promise<string | undefined>;
  /** @throws Error when the stream ends before */
  take: (length: number) => Promise<Buffer>;
};

/** What is not there any more although it was promised. */
const cut = () => new Error('the stream ended in the middle');

export function byteReader(stream: Readable): ByteReader {
  const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  let held: Buffer = Buffer.alloc(0);
  const more = async (): Promise<boolean> => {
    const { value, done } = await pieces.next();
    if (done === true) return false;
    held = held.length === 0 ? value : Buffer.concat([held, value]);
    return true;
  };
  const drop = (length: number): Buffer => {
    const taken = held.subarray(0, length);
    held = held.subarray(length);
    return taken;
  };
  return {
    line: async () => {
      for (let from = 0; ;) {
        const end = held.indexOf(0x0a, from);
        if (end >= 0) return drop(end + 1).toString('latin1', 0, end);
        from = held.length;
        if (await more()) continue;
        if (held.length > 0) throw cut();
        return undefined;
      }
    },
    take: async (length) => {
      if (held.length >= length) return drop(length);
      // A large block is put together once, not piece by piece.
      const parts = [drop(held.length)];
      for (let missing = length - (parts[0]?.length ?? 0); missing > 0;) {
        const { value, done } = await pieces.next();
        if (done === true) throw cut();
        parts.push(value.subarray(0, missing));
        held = value.subarray(missing);
        missing -= Math.min(missing, value.length);
      }
      return Buffer.concat(parts);
    },
  };
}

/** The digits of the numbers in a delta: 6 bits each (getInt in Fossil's delta.c). */
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~';
const valueOf = new Map(Array.from(digits, (digit, value) => [digit.charCodeAt(0), value]));

const [newline, at, comma, colon, semicolon] = Buffer.from('\n@,:;');

/**
 * Makes one version of a content out of another and Fossil's delta: the new length, then pieces to copy (`COUNT@OFFSET,`) and to insert
 * (`COUNT:BYTES`), then a checksum (`SUM;`), which is not looked at: whoever calls compares the hash.
 * @param size what the result's length has to be, in bytes
 * @throws Error for anything else
 */
export function applyDelta(source: Buffer, delta: Buffer, size: number): Buffer {
  let position = 0;
  const number = (end: readonly (number | undefined)[]): { value: number; sign: number | undefined } => {
    let value = 0;
    for (;;) {
      const byte = delta[position++];
      const digit = byte === undefined ? undefined : valueOf.get(byte);
      if (digit !== undefined) value = value * 64 + digit;
      else if (byte !== undefined && end.includes(byte)) return { value, sign: byte };
      else throw new Error('this is no delta');
      if (value > 0xffff_ffff) throw new Error('a number in the delta is too large');
    }
  };
  if (number([newline]).value !== size) throw new Error('the delta makes another length');
  const made = Buffer.alloc(size);
  let length = 0;
  const add = (piece: Buffer, count: number): void => {
    if (piece.length !== count || length + count > size) throw new Error('a piece of the delta is not there');
    length += piece.copy(made, length);
  };
  for (;;) {
    const { value: count, sign } = number([at, colon, semicolon]);
    if (sign === semicolon) break;
    if (sign === at) {
      const offset = number([comma]).value;
      add(source.subarray(offset, offset + count), count);
    } else {
      add(delta.subarray(position, position + count), count);
      position += count;
    }
  }
  if (length !== size) throw new Error('the delta makes another length');
  return made;
}

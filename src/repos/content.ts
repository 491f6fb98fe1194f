import { createHash } from 'node:crypto';
import { inflateSync } from 'node:zlib';

/**
 * Unpacks Fossil's `blob_compress` (blob.c): the length in 4 bytes, big end first, then zlib.
 * @param most bytes that are worth unpacking
 * @throws Error when it is longer, or not as long as it says
 */
export function decompress(content: Uint8Array, most = Infinity): Buffer {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const length = bytes.readUInt32BE(0);
  if (length > most) throw new Error(`it says that it has ${length} bytes`);
  // One more than promised, so that longer content is noticed and endless content is not unpacked.
  const plain = inflateSync(bytes.subarray(4), { maxOutputLength: length + 1 });
  if (plain.length !== length) throw new Error(`${plain.length} bytes instead of ${length}`);
  return plain;
}

/** A content's hash by the function that made the given one: SHA1 has 40 digits, SHA3-256 64 (hname.c). */
export const hashLike = (hash: string, content: Uint8Array): string =>
  createHash(hash.length === 40 ? 'sha1' : 'sha3-256')
    .update(content)
    .digest('hex');

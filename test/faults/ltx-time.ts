/** Where the header of an LTX file has its time, in milliseconds since 1970 (ltx.go of superfly/ltx 0.5). */
const timeAt = 32;
const header = { bytes: 100, pageSize: 8 };
const page = { bytes: 6, sized: 1 };
const checksumBytes = 8;

/** CRC-64 as ISO 3309 has it, which the file's checksum is made by (hash/crc64 of Go). */
const table = Array.from({ length: 256 }, (_none, index) => {
  let crc = BigInt(index);
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0xd800000000000000n : crc >> 1n;
  return crc;
});
const step = (crc: bigint, byte: number): bigint => (table[Number(crc & 0xffn) ^ byte] ?? 0n) ^ (crc >> 8n);

/**
 * An LTX file as a server would have written it whose clock stood elsewhere: its time and its checksum are other ones.
 * The checksum is over the pages as they are before they are compressed. Since a CRC is linear, the difference that a few bytes make
 * follows from them and from how much comes after.
 */
export function withTime(file: Buffer, time: Date): Buffer {
  const moved = Buffer.from(file);
  moved.writeBigUInt64BE(BigInt(time.getTime()), timeAt);
  let difference = 0n;
  for (let at = timeAt; at < timeAt + 8; at++)
    difference = step(difference, (file[at] ?? 0) ^ (moved[at] ?? 0));
  for (let left = hashedBytes(file) - timeAt - 8; left > 0; left--) difference = step(difference, 0);
  const checksumAt = file.length - checksumBytes;
  // The topmost bit only says that there is a checksum.
  const flag = 1n << 63n;
  moved.writeBigUInt64BE((file.readBigUInt64BE(checksumAt) ^ difference) | flag, checksumAt);
  return moved;
}

/** How many bytes the checksum is over. */
function hashedBytes(file: Buffer): number {
  const pageSize = file.readUInt32BE(header.pageSize);
  let at = header.bytes;
  let hashed = file.length - checksumBytes;
  while (file.readUInt32BE(at) !== 0) {
    if (file.readUInt16BE(at + 4) !== page.sized) throw new Error('a page without its size: an older form');
    const compressed = file.readUInt32BE(at + page.bytes);
    hashed += pageSize - compressed;
    at += page.bytes + 4 + compressed;
  }
  return hashed;
}

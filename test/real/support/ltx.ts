import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';

/** Makes an LTX file say another time in its header (ltx.go of superfly/ltx), and nothing else. Milliseconds since 1970. */
export function setTaken(path: string, at: number): void {
  const { atime, mtime } = statSync(path);
  const bytes = readFileSync(path);
  bytes.writeBigUInt64BE(BigInt(at), 32);
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}

import { type BigIntStats, statSync } from 'node:fs';

/**
 * What a repository's file and its write-ahead log look like from outside. While it stays the same nothing can have changed in the
 * repository: every commit writes to one of them, and a file that takes its place has another number. An empty log is like none: whoever reads
 * makes one. Two `stat` calls, nothing is opened. Take it before reading: what comes meanwhile is then seen the next time.
 */
export const stampOf = (file: string): string =>
  [file, `${file}-wal`]
    .map((path) => inWords(statSync(path, { bigint: true, throwIfNoEntry: false })))
    .join(' ');

/** When it was last written to, by the same two files. Milliseconds since 1970. */
export const changedAt = (file: string): number =>
  Math.max(
    ...[file, `${file}-wal`].map((path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined || found.size === 0 ? 0 : found.mtimeMs;
    }),
  );

const inWords = (found: BigIntStats | undefined): string =>
  found === undefined || found.size === 0n ? '-' : `${found.ino}:${found.size}:${found.mtimeNs}`;

import { DatabaseSync } from 'node:sqlite';
import { deflateSync } from 'node:zlib';
import { OperatorError } from '../../errors.ts';
import { writeSetting } from '../../repos/settings.ts';
import { artifactHash } from './write-artifact.ts';

/** A Fossil repository that nobody sees, into which new artifacts are written. */
export type Aside = {
  database: DatabaseSync;
  /** Adds an artifact if it isn't there. @param level zlib's; 1 for what is full of hashes and packed as a difference afterwards @returns its hash */
  add: (content: Buffer, level?: number) => string;
};

/** Largest file: SQLite holds no value of a billion bytes. */
const largest = 950_000_000;

/**
 * Opens an empty repository to be filled by `work`, in one transaction.
 * @param projectCode of the project that it is a part of; undefined: its own
 */
export async function fillAside<T>(
  file: string,
  projectCode: string | undefined,
  work: (aside: Aside) => Promise<T>,
): Promise<T> {
  using database = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN IMMEDIATE');
  if (projectCode !== undefined) writeSetting(database, 'project-code', projectCode);
  const received = database
    .prepare(
      `INSERT INTO rcvfrom(uid, mtime, nonce, ipaddr) VALUES ((SELECT min(uid) FROM user), julianday('now'), NULL, 'git')`,
    )
    .run().lastInsertRowid;
  const insert = database.prepare(
    'INSERT OR IGNORE INTO blob(rcvid, size, uuid, content) VALUES (?, ?, ?, ?)',
  );
  const add = (content: Buffer, level = 6): string => {
    if (content.length > largest)
      throw new OperatorError(`A file of ${content.length} bytes is more than Fossil can hold.`, {
        next: 'Files over 950 MB have to be kept out of the history.',
      });
    const hash = artifactHash(content);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    insert.run(received, content.length, hash, Buffer.concat([length, deflateSync(content, { level })]));
    return hash;
  };
  const result = await work({ database, add });
  // Only what is listed here is told to who pulls.
  database.exec('INSERT OR IGNORE INTO unclustered SELECT rid FROM blob; COMMIT');
  return result;
}

import pMap from 'p-map';

/** One object of the replica. `modified` is the storage's own time. */
export type ReplicaObject = { key: string; bytes: number; modified: Date };

/**
 * The beginning of an object. `dated`: the time that Litestream wrote beside the content, where the storage keeps one; `surely` when no way of
 * copying changes it, as of a file.
 */
export type ReplicaHead = { bytes: Buffer; dated: Date | undefined; surely: boolean };

export type ListOptions = { after?: string; limit?: number };

/**
 * The replica's storage, seen past Litestream. Keys are below the configured folder or prefix, with `/` between their pieces.
 * Every call has a deadline. All @throws OperatorError with what to do about it.
 */
export type ReplicaStore = {
  /** For messages: `s3://bucket/prefix` or the folder. */
  describe: string;
  /** @returns undefined when there is no such object */
  get(key: string): Promise<string | undefined>;
  /** The first bytes of an object, fewer when it is shorter. @returns undefined when there is no such object */
  head(key: string, bytes: number): Promise<ReplicaHead | undefined>;
  /**
   * Writes a small object whole. With `onlyNew` nothing is written where one is, if the storage knows that condition (not every one does).
   * @returns whether it was written
   */
  put(key: string, content: string | Buffer, options?: { onlyNew?: boolean }): Promise<boolean>;
  /** Every object whose key starts with `prefix` and sorts behind `after`, in no particular order. `limit` ends it early. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ReplicaObject>;
  /** Deleting what isn't there is fine. */
  delete(key: string): Promise<void>;
};

/** How long one request to the storage may take. Milliseconds. */
export const storeDeadline = 15_000;

/** How many objects are deleted at the same time; the S3 client opens up to 50 connections. */
const deletedAtOnce = 32;

/**
 * Deletes every object whose key starts with `prefix`. One by one, but many at a time: not every storage knows S3's deletion of many.
 * @throws OperatorError at the first that fails; called again it goes on
 */
export async function deleteAll(store: Pick<ReplicaStore, 'list' | 'delete'>, prefix: string): Promise<void> {
  await pMap(store.list(prefix), ({ key }) => store.delete(key), { concurrency: deletedAtOnce });
}

/** One object of the replica. `modified` is the storage's own time. */
export type ReplicaObject = { key: string; bytes: number; modified: Date };

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
  head(key: string, bytes: number): Promise<Buffer | undefined>;
  /**
   * Writes a small object whole. With `onlyNew` nothing is written where one is, if the storage knows that condition (not every one does).
   * @returns whether it was written
   */
  put(key: string, text: string, options?: { onlyNew?: boolean }): Promise<boolean>;
  /** Every object whose key starts with `prefix` and sorts behind `after`, in no particular order. `limit` ends it early. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ReplicaObject>;
  /** Deleting what isn't there is fine. */
  delete(key: string): Promise<void>;
};

/** How long one request to the storage may take. Milliseconds. */
export const storeDeadline = 15_000;

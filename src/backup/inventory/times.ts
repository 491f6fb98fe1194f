import type { ReplicaObject } from '../store.ts';

/** When the first one was written, by the storage's own times; null when there are none. There may be half a million. */
export const oldestOf = (objects: readonly Pick<ReplicaObject, 'modified'>[]): Date | null =>
  objects.reduce<Date | null>(
    (oldest, { modified }) => (oldest !== null && oldest <= modified ? oldest : modified),
    null,
  );

/** When the last one was. */
export const newestOf = (objects: readonly Pick<ReplicaObject, 'modified'>[]): Date | null =>
  objects.reduce<Date | null>(
    (newest, { modified }) => (newest !== null && newest >= modified ? newest : modified),
    null,
  );

import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import type { ReplicaPlace } from './location.ts';
import { explainS3, isBrokenOff, isMissing, isPrecondition } from './s3-errors.ts';
import { type ReplicaStore, storeDeadline } from './store.ts';

/** Before an answer that broke off is asked for again. Milliseconds. */
const pause = 500;

/** The keys of an S3-compatible storage. */
export type S3Keys = { accessKeyId: string; secretAccessKey: string };

/**
 * A replica in S3-compatible storage. The client, which takes 200 ms to load, is made by the first call; without keys it finds them as
 * Litestream does (a role of the machine).
 */
export function s3Store(
  place: Extract<ReplicaPlace, { kind: 's3' }>,
  keys: S3Keys | undefined,
): ReplicaStore {
  const { bucket: Bucket, prefix } = place;
  const full = (key: string) => (prefix === '' ? key : `${prefix}/${key}`);
  const sdk = () => import('@aws-sdk/client-s3');
  let made: Promise<S3Client> | undefined;
  const client = () => (made ??= sdk().then(({ S3Client }) => new S3Client(settings(place, keys))));

  async function guarded<T>(doing: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(storeDeadline);
    try {
      return await work(signal).catch(async (error: unknown) => {
        // The client asks again by itself, but not when an answer breaks off in its middle.
        if (doing !== 'read' || !isBrokenOff(error)) throw error;
        await sleep(pause, undefined, { signal });
        return await work(signal);
      });
    } catch (error) {
      throw explainS3(place, doing, error);
    }
  }

  return {
    describe: `s3://${Bucket}${prefix && `/${prefix}`}`,

    get: (key) =>
      guarded('read', async (abortSignal) => {
        const { GetObjectCommand } = await sdk();
        try {
          const { Body } = await (
            await client()
          ).send(new GetObjectCommand({ Bucket, Key: full(key) }), { abortSignal });
          return (await Body?.transformToString()) ?? '';
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),

    head: (key, bytes) =>
      guarded('read', async (abortSignal) => {
        const { GetObjectCommand } = await sdk();
        const Range = `bytes=0-${bytes - 1}`;
        try {
          const { Body, Metadata } = await (
            await client()
          ).send(new GetObjectCommand({ Bucket, Key: full(key), Range }), { abortSignal });
          const read = Buffer.from((await Body?.transformToByteArray()) ?? []).subarray(0, bytes);
          return { bytes: read, dated: dateIn(Metadata?.[timestampKey]), surely: true };
        } catch (error) {
          if (isMissing(error)) return undefined;
          // An object without bytes has no range.
          if (error instanceof Error && error.name === 'InvalidRange')
            return { bytes: Buffer.alloc(0), dated: undefined, surely: true };
          throw error;
        }
      }),

    put: (key, content, { onlyNew = false } = {}) =>
      guarded('write', async (abortSignal) => {
        const { PutObjectCommand } = await sdk();
        const condition = onlyNew ? { IfNoneMatch: '*' } : {};
        try {
          await (
            await client()
          ).send(new PutObjectCommand({ Bucket, Key: full(key), Body: Buffer.from(content), ...condition }), {
            abortSignal,
          });
          return true;
        } catch (error) {
          if (onlyNew && isPrecondition(error)) return false;
          throw error;
        }
      }),

    async *list(below, { after, limit = Infinity } = {}) {
      const { ListObjectsV2Command } = await sdk();
      let token: string | undefined;
      let count = 0;
      do {
        const page = await guarded('list', async (abortSignal) =>
          (await client()).send(
            new ListObjectsV2Command({
              Bucket,
              Prefix: full(below),
              MaxKeys: Math.min(1000, limit - count),
              ...(token !== undefined && { ContinuationToken: token }),
              ...(after !== undefined && { StartAfter: full(after) }),
            }),
            { abortSignal },
          ),
        );
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key === undefined || LastModified === undefined) continue;
          count++;
          yield {
            key: prefix === '' ? Key : Key.slice(prefix.length + 1),
            bytes: Size ?? 0,
            modified: LastModified,
          };
          if (count >= limit) return;
        }
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },

    delete: (key) =>
      guarded('delete', async (abortSignal) => {
        const { DeleteObjectCommand } = await sdk();
        await (await client()).send(new DeleteObjectCommand({ Bucket, Key: full(key) }), { abortSignal });
      }),
  };
}

/** The metadata in which Litestream notes when it took out what an object holds (MetadataKeyTimestamp in its s3/replica_client.go). */
const timestampKey = 'litestream-timestamp';

function dateIn(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function settings({ endpoint, region }: Extract<ReplicaPlace, { kind: 's3' }>, keys: S3Keys | undefined) {
  return {
    region,
    maxAttempts: 2,
    // Storages that aren't Amazon's refuse the checksums that the client adds by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(keys && { credentials: keys }),
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    requestHandler: { connectionTimeout: 5_000, requestTimeout: storeDeadline },
  } as const;
}

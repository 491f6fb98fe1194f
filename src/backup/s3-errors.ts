import { messageOf, OperatorError } from '../errors.ts';
import type { ReplicaPlace } from './location.ts';

/** The object isn't there. (A missing bucket is another error.) */
export const isMissing = (error: unknown): boolean => nameOf(error) === 'NoSuchKey';

/** An object was there though none should be; or two clients tried at once. */
export const isPrecondition = (error: unknown): boolean =>
  ['PreconditionFailed', 'ConditionalRequestConflict'].includes(nameOf(error));

/** The connection was there, and ended before all of the answer was. */
export const isBrokenOff = (error: unknown): boolean =>
  codesOf(error).some((code) => /ECONNRESET|EPIPE/.test(code));

/** What went wrong with a request to S3-compatible storage, by cause. Never holds a key. @param doing write, read, list or delete */
export function explainS3(
  place: Extract<ReplicaPlace, { kind: 's3' }>,
  doing: string,
  error: unknown,
): OperatorError {
  if (error instanceof OperatorError) return error;
  const { bucket, endpoint = `Amazon S3 in ${place.region}` } = place;
  const [what, next] = ((): [string, string] => {
    switch (nameOf(error)) {
      case 'NoSuchBucket':
      case 'NotFound':
        return [`There is no bucket ${bucket} at ${endpoint}.`, 'Make the bucket, or correct replica.url.'];
      case 'InvalidAccessKeyId':
        return [`${endpoint} does not know the access key.`, correct('aws_access_key_id')];
      case 'SignatureDoesNotMatch':
        return [`${endpoint} says that the secret key is wrong.`, correct('aws_secret_access_key')];
      case 'AccessDenied':
      case 'Forbidden':
      case 'AllAccessDisabled':
        return [
          `The access key may not ${doing} in bucket ${bucket}.`,
          'Give it s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it.',
        ];
      case 'PermanentRedirect':
      case 'AuthorizationHeaderMalformed':
      case 'IllegalLocationConstraintException':
        return [`Bucket ${bucket} is in another region than ${place.region}.`, 'Correct replica.region.'];
      case 'RequestTimeTooSkewed':
        return ['The clock of this server is wrong.', 'Set the clock: timedatectl set-ntp true.'];
      case 'SlowDown':
      case 'ServiceUnavailable':
      case 'InternalError':
        return [
          `${endpoint} is overloaded or out of order (${nameOf(error)}).`,
          'Wait; replication goes on by itself.',
        ];
      case 'QuotaExceeded':
      case 'XMinioStorageFull':
        return [
          `The storage at ${endpoint} is full.`,
          'Make room there; replication then goes on by itself.',
        ];
      case 'CredentialsProviderError':
        return [
          'There are no keys for the storage.',
          'Give them, in the format of ~/.aws/credentials: fossilrepo install --storage-keys FILE.',
        ];
      case 'TimeoutError':
      case 'AbortError':
        return [
          `${endpoint} does not answer.`,
          'See whether the storage is up and a firewall lets this server through.',
        ];
      default:
        return (
          unreachable(endpoint, error) ?? [
            `${endpoint} could not ${doing}: ${messageOf(error)}`,
            'See the documentation of the storage for this error.',
          ]
        );
    }
  })();
  return new OperatorError(what, { next, cause: error });
}

/** Also for who has no server yet. */
const correct = (key: string) =>
  `Correct ${key}: run install again, or, on an installed server, fossilrepo install --storage-keys FILE.`;

function unreachable(endpoint: string, error: unknown): [string, string] | undefined {
  const codes = codesOf(error);
  const has = (pattern: RegExp) => codes.find((code) => pattern.test(code));
  if (has(/ENOTFOUND|EAI_AGAIN/))
    return [
      `The name of ${endpoint} can't be found.`,
      'Correct --endpoint (replica.endpoint), or see whether DNS works.',
    ];
  if (has(/ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE/))
    return [
      `${endpoint} can't be reached.`,
      'See whether the storage is up and a firewall lets this server through.',
    ];
  const tls = has(/CERT|SELF_SIGNED|TLS|SSL|EPROTO/);
  if (tls !== undefined)
    return [
      `The certificate of ${endpoint} is not accepted (${tls}).`,
      'Use a certificate of a known authority, or add its root to this system: update-ca-certificates.',
    ];
  return undefined;
}

/** The codes of an error and of what caused it: several addresses of one name fail as an AggregateError. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner = error instanceof AggregateError ? error.errors.flatMap(codesOf) : [];
  return [...own, ...inner, ...codesOf(error.cause)];
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

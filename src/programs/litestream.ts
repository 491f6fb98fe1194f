import { z } from 'zod';
import { OperatorError } from '../errors.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { parseJson } from '../system/json.ts';
import type { Command } from '../system/run.ts';

/**
 * The oldest Litestream that is accepted. Earlier 0.5 ones carry a SQLite whose WAL reset can corrupt a database (upstream #1432), and
 * 0.3 has another format of replica and no control socket.
 */
export const oldestLitestream = '0.5.17';

export const litestreamVersion = (program: string): Command => ({
  argv: [program, 'version'],
  timeout: 10_000,
});

/**
 * The version that `litestream version` printed: `0.5.17` or `v0.5.17`.
 * @throws OperatorError when it is something else
 */
export function readLitestreamVersion(stdout: string): string {
  const [, version] = /^v?(\d+\.\d+\.\d+)\b/.exec(stdout.trim()) ?? [];
  if (version === undefined)
    throw new OperatorError(`Litestream's version can't be read from “${stdout.trim().slice(0, 80)}”.`, {
      next: `Use Litestream ${oldestLitestream} or later, or the one that fossilrepo brings.`,
    });
  return version;
}

/** The daemon. Dollar signs in the file mean themselves. */
export const litestreamReplicate = (program: string, config: string): Command => ({
  argv: [program, 'replicate', '-no-expand-env', '-config', config],
});

/**
 * What the daemon needs in its environment, and what must not be there. Keys are read from a file in the form of AWS's shared credentials
 * (`renderStorageCredentials`), since Litestream's S3 client has no other way that keeps them out of configuration and environment. The other
 * names keep the S3 client from a person's own AWS settings and from asking the metadata address of a cloud for keys.
 */
export function litestreamEnvironment(credentials: string | undefined): Record<string, string> {
  return {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: credentials ?? '/dev/null',
  };
}

/**
 * Names that must not be set for the daemon. AWS_CA_BUNDLE breaks all of S3 ("has no WithTransportOptions"), AWS_PROFILE wants a profile
 * that our credentials don't have, others name other keys or another storage, and LOG_LEVEL goes before the configuration.
 */
export const litestreamUnset = [
  'AWS_CA_BUNDLE',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'LITESTREAM_ACCESS_KEY_ID',
  'LITESTREAM_SECRET_ACCESS_KEY',
  'LITESTREAM_S3_ENDPOINT',
  'LOG_LEVEL',
] as const;

/**
 * A dry start: Litestream reads the file, makes every database and replica of it, and prints them. It opens no database, no socket and
 * no connection, so that it can run beside the live daemon (`replicate` would take over the live socket).
 */
export const litestreamCheck = (program: string, config: string): Command => ({
  argv: [program, 'databases', '-no-expand-env', '-json', '-config', config],
  env: litestreamEnvironment(undefined),
  timeout: 30_000,
});

/**
 * Writes a database as it was after one transaction. With `-txid` it fails when the history doesn't lead there; with `-timestamp` it
 * would silently take an older state (CalcRestorePlan in its replica.go).
 * @param from.url `replicaUrl` @param from.txid 16 hexadecimal digits @param from.keys the storage's, which only its environment gets
 */
export function litestreamRestore(
  program: string,
  from: { url: string; txid: string; keys: StorageCredentials | undefined },
  output: string,
): Command {
  return {
    argv: [program, 'restore', '-txid', from.txid, '-integrity-check', 'none', '-o', output, from.url],
    env: {
      ...litestreamEnvironment(undefined),
      ...(from.keys && { AWS_ACCESS_KEY_ID: from.keys.id, AWS_SECRET_ACCESS_KEY: from.keys.secret.reveal() }),
    },
    timeout: 6 * 3_600_000,
  };
}

const listed = z.array(z.object({ path: z.string(), replica: z.enum(['file', 's3']) }));

/**
 * Whether the dry start saw just the databases that were meant: a mistyped key is no error to Litestream.
 * @throws OperatorError naming the databases that differ, or that nothing was said
 */
export function readLitestreamCheck(stdout: string, expected: readonly string[]): void {
  const answer = listed.safeParse(parseJson(stdout));
  if (!answer.success) throw new OperatorError('Litestream does not say which databases it reads.');
  const found = new Set(answer.data.map(({ path }) => path));
  const wanted = new Set(expected);
  const wrong = [...wanted.symmetricDifference(found)];
  if (wrong.length > 0)
    throw new OperatorError(
      `Litestream reads another configuration than was meant: ${wrong.slice(0, 5).join(', ')}`,
      {
        next: 'See templates/litestream.yml, if it was changed.',
      },
    );
}

import ms, { type StringValue } from 'ms';
import { z } from 'zod';

const port = z.int().min(1).max(65535);

const duration = z
  .string()
  .regex(/^\d+ ?(s|m|h|d|w)$/, 'must be a number and a unit: 30s, 10m, 12h, 7d, 4w')
  .transform((text) => ms(text as StringValue));

const domain = z
  .string()
  .max(190)
  .regex(
    /^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*$/,
    'must be a domain in lower case without scheme or port, such as forge.example.com',
  );

const absolutePath = z.string().startsWith('/', 'must be an absolute path');

const replicaUrl = z
  .string()
  .regex(
    /^(file:\/\/\/|s3:\/\/[a-z0-9][a-z0-9.-]+(\/|$))/,
    'must be file:///a/folder or s3://bucket/prefix (storage keys belong into `secrets/storage`, the endpoint into `replica.endpoint`)',
  )
  .refine(
    (text) => !/[?#@]/.test(text),
    'must not hold options or keys: use replica.endpoint and replica.region',
  );

/**
 * What `fossilrepo.yaml` may hold. Each key's description is its manual: `docs/configure.md`, the JSON Schema and the
 * example are checked against it. Durations are milliseconds once loaded.
 */
export const configSchema = z
  .strictObject({
    domain: domain
      .default('localhost')
      .describe(
        'The forge answers here; each repository at NAME.DOMAIN. `localhost` is for trying things out.',
      ),
    email: z
      .email()
      .optional()
      .describe('Where the certificate authority writes when a certificate is about to lapse.'),
    tls: z
      .enum(['auto', 'internal', 'off'])
      .optional()
      .describe(
        '`auto`: certificates by ACME. `internal`: by a certificate authority of this server. `off`: plain HTTP. Default: `off` for localhost, else `auto`.',
      ),
    listen: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .min(1)
      .optional()
      .describe('Addresses the edge listens on. Default: loopback for localhost, else all.'),
    ports: z
      .strictObject({
        http: port
          .default(80)
          .describe('Plain HTTP: redirects and ACME challenges, or everything when tls is off.'),
        https: port.default(443).describe('HTTPS.'),
        repositories: port
          .default(81)
          .describe(
            'Local mode only: repositories as http://localhost:PORT/NAME (https with tls: internal) where NAME.localhost does not resolve.',
          ),
        fossil: port.default(21100).describe('Fossil, on loopback.'),
        ask: port
          .default(21101)
          .describe('The edge asks itself here, on loopback, whether a name may have a certificate.'),
      })
      .prefault({})
      .describe('Ports that must be free.'),
    acme: z
      .strictObject({
        directory: z
          .url()
          .optional()
          .describe('Directory URL of another ACME authority than Let’s Encrypt, such as a company’s own.'),
        roots: absolutePath.optional().describe('PEM file with the root certificates of that authority.'),
      })
      .prefault({})
      .describe('Another certificate authority.'),
    replica: z
      .strictObject({
        url: replicaUrl
          .optional()
          .describe(
            'Where every commit goes: s3://BUCKET/PREFIX or file:///FOLDER. Default: a folder on this disk, which is no backup.',
          ),
        endpoint: z.url().optional().describe('S3-compatible storage that is not Amazon’s: its URL.'),
        region: z.string().min(1).default('us-east-1').describe('S3 region.'),
        exact: duration.prefault('7d').describe('How long any second can be restored.'),
        window: duration
          .prefault('30d')
          .describe('How long moments that lie a `step` apart can be restored.'),
        step: duration
          .prefault('5m')
          .describe(
            'How far apart moments older than `exact` lie. Each repository can cost one LIST request to the storage per step, also while nobody uses it: with a thousand of them, 15m costs a third of 5m.',
          ),
        maxAge: duration
          .prefault('10s')
          .describe('A repository whose replica is older than this turns the status red.'),
      })
      .prefault({})
      .describe('The replica.'),
    repositories: z
      .strictObject({
        trash: duration.prefault('30d').describe('How long a deleted repository can be undeleted.'),
        push: z
          .int()
          .min(1)
          .default(2048)
          .describe('The largest request that a repository takes, in MiB. One push can be several requests.'),
      })
      .prefault({})
      .describe('Limits for repositories.'),
    programs: z
      .strictObject({
        fossil: absolutePath.optional().describe('Another Fossil than the system’s.'),
        caddy: absolutePath.optional().describe('Another Caddy than the embedded one.'),
        litestream: absolutePath.optional().describe('Another Litestream than the embedded one.'),
      })
      .prefault({})
      .describe('Programs that the operator brings.'),
  })
  .describe('fossilrepo.yaml');

/** What the operator wrote, defaults filled in, durations in milliseconds. */
export type WrittenConfig = z.output<typeof configSchema>;

import { existsSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import prettyMilliseconds from 'pretty-ms';
import { replicaPlace } from '../backup/location.ts';
import type { Config } from '../config/config.ts';
import { programHome } from '../config/paths.ts';
import { clockSynchronized } from '../programs/systemd.ts';
import type { Run } from '../system/run.ts';
import type { Preflight } from './preflight.ts';

/** What is known of the clock. Times in milliseconds. */
export type ClockFacts = {
  now: number;
  /** When the program was put here, by this clock. */
  made: number;
  /** Whether a time service keeps it right; undefined when nobody here can say. */
  synchronized: boolean | undefined;
  /** Others' clocks: how far they are ahead of this one. */
  others: readonly { of: string; ahead: number }[];
  /** Whether it is only for trying things out. */
  local: boolean;
};

/** Node 24.0, which runs this, came out then: no right clock says less. */
const earliest = Date.parse('2025-05-06');
/** By then the root certificates that Node brings have lapsed: nothing could be reached. */
const latest = Date.parse('2050-01-01');
/** A day of tolerance: an archive's times may be of another zone. */
const day = 86_400_000;
/** Authorities and storages refuse more than five to fifteen minutes; a Date header is exact to a second, and was on its way. */
const tooFar = 300_000;
const noticeable = 30_000;
/** How long another clock is waited for. */
const patience = 5_000;

/** @param thorough whether others' clocks and the time service are asked, too */
export async function checkClock(config: Config, run: Run, thorough: boolean): Promise<Preflight[]> {
  const made = statSync(join(programHome, 'package.json')).mtimeMs;
  const now = Date.now();
  const { local } = config;
  if (!thorough) return judgeClock({ now, made, synchronized: true, others: [], local });
  const [synchronized, ...others] = await Promise.all([
    keptRight(run),
    ...othersThere(config).map(async (url) => {
      const ahead = await aheadOfUs(url);
      return ahead === undefined ? [] : [{ of: new URL(url).host, ahead }];
    }),
  ]);
  return judgeClock({ now, made, synchronized, others: others.flat(), local });
}

/** Wrong for certain is refused; what may be is a warning. */
export function judgeClock({ now, made, synchronized, others, local }: ClockFacts): Preflight[] {
  const what = 'clock';
  const next = 'Set it: timedatectl set-ntp true, with a time service such as systemd-timesyncd.';
  const said = new Date(now).toISOString();
  const refuse = (message: string): Preflight[] => [{ what, verdict: 'refuse', message, next }];
  if (now < earliest || now > latest) return refuse(`The clock says ${said}, which can't be.`);
  if (now < made - day) return refuse(`The clock says ${said}, which is before fossilrepo was put here.`);
  const apart = [...others].sort((a, b) => Math.abs(b.ahead) - Math.abs(a.ahead))[0];
  if (apart && Math.abs(apart.ahead) > noticeable) {
    const how = prettyMilliseconds(Math.abs(apart.ahead), { unitCount: 2, secondsDecimalDigits: 0 });
    const message = `The clock is ${how} ${apart.ahead > 0 ? 'behind' : 'ahead of'} that of ${apart.of}.`;
    if (synchronized === true || others.some(({ ahead }) => Math.abs(ahead) <= noticeable)) {
      const theirs = `Others agree with this machine: set the clock of ${apart.of}, which may refuse what it is sent otherwise.`;
      return [{ what, verdict: 'warn', message, next: theirs }];
    }
    return Math.abs(apart.ahead) > tooFar ? refuse(message) : [{ what, verdict: 'warn', message, next }];
  }
  if (synchronized === false)
    return [
      {
        what,
        verdict: 'warn',
        message: `No time service keeps the clock right${apart ? `, though it agrees with that of ${apart.of} now` : ''}.`,
        next: 'Certificates and restores by time need a right clock: timedatectl set-ntp true.',
      },
    ];
  if (synchronized === undefined && !apart && !local)
    return [
      {
        what,
        verdict: 'warn',
        message: `Nobody here can say whether the clock is right: it says ${said}.`,
        next: 'Certificates and restores by time need a right clock: see that the machine it runs on has a time service.',
      },
    ];
  return [{ what, verdict: 'fine', message: said }];
}

/** Whom this server will need anyway: the storage and the certificate authority. */
function othersThere({ replica, tls, acme }: Config): string[] {
  const place = replicaPlace(replica);
  const authority = acme.directory ?? 'https://acme-v02.api.letsencrypt.org/directory';
  return [
    ...(place.kind === 's3' ? [place.endpoint ?? `https://s3.${place.region}.amazonaws.com/`] : []),
    ...(tls === 'auto' ? [authority] : []),
  ];
}

async function keptRight(run: Run): Promise<boolean | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const { stdout } = await run(clockSynchronized).catch(() => ({ stdout: '' }));
  return { yes: true, no: false }[stdout.trim()];
}

/**
 * How far the clock of a server is ahead of ours by its Date header, whatever else it answers. Milliseconds; undefined when it says nothing.
 * Its certificate is not looked at: by a wrong clock each one is invalid, and nothing but the time is taken from the answer.
 */
export function aheadOfUs(url: string): Promise<number | undefined> {
  const asked = Date.now();
  const options = { method: 'HEAD', agent: false as const, signal: AbortSignal.timeout(patience) };
  return new Promise((resolve) => {
    const request = url.startsWith('https:')
      ? httpsRequest(url, { ...options, rejectUnauthorized: false })
      : httpRequest(url, options);
    request.on('error', () => resolve(undefined));
    request.on('response', (response) => {
      response.resume();
      const theirs = Date.parse(response.headers.date ?? '');
      const between = (asked + Date.now()) / 2;
      resolve(Number.isNaN(theirs) ? undefined : theirs - between);
    });
    request.end();
  });
}

import type { Covered } from '../backup/coverage.ts';
import type { Finding } from './finding.ts';
import type { LoopState } from './loop-state.ts';
import {
  lastVerified,
  type LastVerified,
  summaryOfVerified,
  verifiedFindings,
  type VerifiedLately,
  type VerifiedSummary,
} from './verified.ts';

/** Whether one may sleep: one answer, for `status`, `/health` and the UI. */
export type Health = {
  ok: boolean;
  /** `red`: data or service is at risk now. */
  level: 'green' | 'yellow' | 'red';
  findings: Finding[];
  repositories: (Covered & {
    /** The last verification that came to an answer; null before the first. */
    verified: LastVerified | null;
  })[];
  verified: VerifiedSummary;
  canary: LoopState['canary'];
  /** When the loop last looked; null when it never did. */
  lookedAt: string | null;
};

/** A loop that has not looked for this long is dead or stuck. Milliseconds. */
const stale = 15_000;
/** The canary flies every minute; two missed rounds mean something. */
const staleCanary = 150_000;

/**
 * Puts together what the loop saw and what was seen since.
 * @param state undefined when there is no loop @param findings seen just now @param verified what verifications found
 */
export function assessHealth(
  state: LoopState | undefined,
  findings: readonly Finding[],
  verified: VerifiedLately,
  now: number,
): Health {
  const all = unique([
    ...findings,
    ...(state ? [...state.findings, ...coverageFindings(state.covered), ...canaryFindings(state, now)] : []),
    ...loopFindings(state, now),
    ...verifiedFindings(verified, now),
  ]);
  const last = new Map(verified.databases.map(({ id, last: one }) => [id, one]));
  const level = all.some((finding) => finding.level === 'red') ? 'red' : all.length > 0 ? 'yellow' : 'green';
  return {
    ok: level !== 'red',
    level,
    findings: all,
    repositories: (state?.covered ?? []).map((one) => ({ ...one, verified: lastVerified(last.get(one.id)) })),
    verified: summaryOfVerified(verified, now),
    canary: state?.canary ?? null,
    lookedAt: state?.at ?? null,
  };
}

function loopFindings(state: LoopState | undefined, now: number): Finding[] {
  if (state && distance(state.at, now) < stale) return [];
  return [
    {
      level: 'red',
      about: 'management',
      what: state ? lastLook(Math.round((now - Date.parse(state.at)) / 1000)) : 'The loop does not run.',
      next: 'Nothing is adopted or mended meanwhile. Read why with: fossilrepo logs management',
    },
  ];
}

const lastLook = (seconds: number): string =>
  seconds >= 0
    ? `The loop has not looked for ${seconds} s.`
    : `The loop looked last ${-seconds} s in the future: the clock was set back, and it has not looked since.`;

/** A time in the future says as little of now as an old one. Milliseconds. */
const distance = (at: string, now: number): number => Math.abs(now - Date.parse(at));

/** How many databases are named; a storage that is down makes all of them red at once. */
const named = 5;

/** One finding for each reason, not for each database: what they have in common is what has to be mended. */
function coverageFindings(covered: readonly Covered[]): Finding[] {
  const reasons = Map.groupBy(
    covered.filter(({ ok }) => !ok),
    ({ why }) => why.replace(/\d+ s ago/, 'too long ago'),
  );
  return [...reasons].map(([reason, members]) => {
    const [only] = members;
    const names = members.map(({ name }) => name);
    const more = names.length > named ? ` and ${names.length - named} more` : '';
    const who = names.length === 1 ? names.join('') : `${names.length} databases`;
    const list = names.length === 1 ? '' : ` (${names.slice(0, named).join(', ')}${more})`;
    const why = names.length === 1 ? (only?.why ?? reason) : reason;
    return {
      level: 'red',
      about: names.length === 1 ? names.join('') : 'replica',
      what: `${who} ${names.length === 1 ? 'is' : 'are'} not safe: ${why}${list}`,
      next: `New commits are only on this disk until it passes. ${hasLostHold.test(reason) ? seeFile : seeReplica}`,
    };
  });
}

const seeReplica = 'See whether the replica can be reached, and fossilrepo logs replication.';

/** What Litestream says of a damaged file, but also of a whole one once it has lost hold of its log: it comes out of that only by a start. */
const hasLostHold = /malformed|not a database|disk I\/O|wal header/;
const seeFile =
  'If it stays though fossilrepo repo verify finds the file whole, start Litestream again: fossilrepo restart replication. Why: fossilrepo logs replication.';

function canaryFindings({ canary, startedAt }: LoopState, now: number): Finding[] {
  const about = { level: 'red', about: 'canary' } as const;
  if (canary && !canary.ok)
    return [
      {
        ...about,
        what: `The canary failed: ${canary.error ?? 'unknown'}`,
        next: 'What it does is what your users do: clone, push. Look at the part it names.',
      },
    ];
  if (distance(canary?.at ?? startedAt, now) < staleCanary) return [];
  return [
    {
      ...about,
      what: 'The canary has not flown for more than two minutes.',
      next: 'See fossilrepo logs management.',
    },
  ];
}

function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [finding.what, finding])).values()];
}
